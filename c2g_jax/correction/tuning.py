"""Choose a checkpoint's settings on training videos that were kept out of training."""

import contextlib
import dataclasses
import itertools
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from c2g_jax.click2graph.model import Click2Graph
from c2g_jax.click2graph.settings import (
    NEUTRAL,
    RANKED,
    AdaptConfig,
    Settings,
    SpanConfig,
)
from c2g_jax.correction.gains import video_gains
from c2g_jax.correction.simulate import (
    click_subjects,
    match_tracks,
    outcomes_of,
    read_truth,
)
from c2g_jax.correction.span_scores import (
    VideoSpans,
    predict_videos,
    ranked_settings,
)
from c2g_jax.data.clip_config import ClipConfig
from c2g_jax.data.dataset import Dataset, open_prepared
from c2g_jax.data.loader import clip_loader
from c2g_jax.data.records import VideoRecord
from c2g_jax.data.sampling import hold_out
from c2g_jax.evaluation.protocol import Protocol
from c2g_jax.export.report import frame_progress
from c2g_jax.session.session import Session
from c2g_jax.training.temperature import best_temperatures
from c2g_jax.types import InputError

WIDTHS = (0.05, 0.08, 0.15, 0.3)
CORRECTIONS = (0, 1, 2)
EPOCHS = 4  # clips of each video from which temperatures are chosen


def held_out_videos(
    config: Mapping[str, Any], dataset: Dataset, folder: object
) -> tuple[VideoRecord, ...]:
    """Return exactly the videos that the training of a checkpoint did not see.

    `config` is the configuration of the training, from the manifest in `folder`. Raises
    InputError if it held none out, or had other data.
    """
    data = config.get("data", {})
    count = data.get("held_out", 0)
    if not count:
        raise InputError(
            f"the training of {folder} held out no videos to tune on: train with "
            "--config.data.held_out=20, or more"
        )
    if data["name"] != dataset.name:
        raise InputError(
            f"{folder} was trained on {data['name']}, not {dataset.name}: give "
            f"--name={data['name']}"
        )
    return hold_out(dataset.videos(data["train"]), count)[1]


def tune(
    model: Click2Graph,
    dataset: Dataset,
    videos: Sequence[VideoRecord],
    num_frames: int,
    graphs: Path,
    made_by: str,
) -> Settings:
    """Return the best settings of a model on videos, and give them to the model.

    Temperatures are chosen on clips of `num_frames` frames. Graphs are kept in the
    folder `graphs`, for the weights with the hash `made_by`, and reused from there.
    """
    model.set_settings(Settings())
    still = dict(flip=0, brightness=0, contrast=0, saturation=0)
    size = model.config.sam2.image_size
    clips = ClipConfig(num_frames=num_frames, image_size=size, **still)
    loader = clip_loader(dataset, videos[0].split, clips, 1, videos=videos)
    batches = itertools.islice(iter(loader), EPOCHS * loader.source.clips)
    settings = Settings(temperature=best_temperatures(model, batches))
    model.set_settings(settings)
    if settings.temperature != NEUTRAL:
        made_by += f" at {settings.temperature}"
    protocol = Protocol(split=videos[0].split, runs=1)
    args = (dataset, videos, protocol, graphs, made_by)
    spans = best_spans(list(predict_videos(*args, lambda: model)))
    settings = dataclasses.replace(settings, spans=spans)
    model.set_settings(settings)
    adapt = best_adaptation(model, dataset, videos, protocol)
    settings = dataclasses.replace(settings, adapt=adapt)
    model.set_settings(settings)
    return settings


def best_spans(videos: Sequence[VideoSpans]) -> SpanConfig:
    """Return the settings with the best F1 of spans; `RANKED` where none has any."""
    counts, best = ranked_settings(videos)[0]
    return best if counts.met_spans else RANKED


def best_adaptation(
    model: Click2Graph,
    dataset: Dataset,
    videos: Sequence[VideoRecord],
    protocol: Protocol,
) -> AdaptConfig:
    """Return the width after whose corrections most relations are right.

    A simulated user corrects one and two labels a video. Of equal widths the smallest
    is chosen, which changes least. Videos are tracked once for all widths.
    """
    hits: Counter = Counter()
    with frame_progress() as begin:
        advance = begin("corrected", sum(video.num_frames for video in videos))
        for video in videos:
            truth = read_truth(dataset, video, protocol)
            with contextlib.closing(
                Session(open_prepared(dataset, video), model)
            ) as session:
                clicked = click_subjects(session, truth)
                tracks = match_tracks(session.graph(), truth, clicked)
                for width in WIDTHS:
                    session.adapt = dataclasses.replace(session.adapt, width=width)
                    found = outcomes_of(session, truth, tracks, protocol, CORRECTIONS)
                    gains = video_gains(found, truth, protocol)
                    hits[width] += sum(gains[str(n)]["hits"] for n in CORRECTIONS)
                    for _ in range(found[CORRECTIONS[-1]].made):
                        session.undo()
            advance(video.num_frames)
    return AdaptConfig(width=max(WIDTHS, key=lambda width: (hits[width], -width)))
