r"""Find the SpanConfig that makes the best relation spans from frame predictions.

    python -m benchmarks.spans --checkpoint=FOLDER --data_dir=data --name=toy_pvsg \
        --split=train --max_videos=60 --output=DIR

Every subject of a video is clicked on its first frame with a relation and tracked, once
for each video; the graphs are kept in DIR/graphs and reused. Spans are then made from
their predictions with every setting of a grid, and compared with the true spans: F1 of
spans (a predicted and a true span of the same pair and predicate match if their IoU is
at least a half, each once) and F1 of frames. Prints the best settings and the defaults,
and writes all to DIR/spans.json.
"""

import contextlib
import dataclasses
import itertools
import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from absl import flags
from rich.console import Console
from rich.table import Table

from c2g_jax.cli import launch
from c2g_jax.cli.launch import (
    CHECKPOINT,
    DATA_DIR,
    DEFAULT_NAME,
    MAX_VIDEOS,
    NAME,
    OUTPUT,
)
from c2g_jax.export.report import frame_progress
from c2g_jax.export.scene_graph_json import read_scene_graph, write_scene_graph
from c2g_jax.media.outputs import check_output, write_text
from c2g_jax.tracking.spans import SpanConfig, frames_of, held_spans, merge_spans
from c2g_jax.types import InputError, SceneGraph

with launch.needing("train"):
    from c2g_jax.data.dataset import Dataset, open_dataset, open_prepared
    from c2g_jax.data.records import VideoRecord
    from c2g_jax.evaluation import protocol_flags
    from c2g_jax.evaluation.protocol import Protocol

for _name in ("checkpoint", "data_dir", "name", "split", "max_videos", "output"):
    flags.declare_key_flag(_name)

GRID = dict(
    max_gap=(0, 1, 2, 3, 5),
    min_length=(1, 2, 3, 5),
    min_confidence=(0.0, 0.02, 0.05, 0.1, 0.2, 0.3),
    start_confidence=(0.0, 0.1, 0.2, 0.3, 0.5, 0.7),
)
OVERLAP = 0.5  # least intersection over union of two matching spans
SHOWN = 10  # settings in the printed table

Key = tuple[int, int, str]  # subject, object, predicate
Span = tuple[int, int]


class VideoSpans(NamedTuple):
    """The predictions and the true spans of one video.

    confidences: by relation and frame. Objects have their true ids; predicted objects
    that match none have the negative of their own.
    """

    num_frames: int
    confidences: Mapping[Key, Mapping[int, float]]
    spans: Mapping[Key, Sequence[Span]]


@dataclasses.dataclass
class Counts:
    """Predicted ("said"), true and matched ("met") spans and frames."""

    said_spans: int = 0
    true_spans: int = 0
    met_spans: int = 0
    said_frames: int = 0
    true_frames: int = 0
    met_frames: int = 0

    def f1(self) -> tuple[float, float]:
        """Return the F1 of spans and of frames; 0 without any."""
        spans = self.said_spans + self.true_spans
        frames = self.said_frames + self.true_frames
        return 2 * self.met_spans / max(spans, 1), 2 * self.met_frames / max(frames, 1)


def grid() -> Iterator[SpanConfig]:
    """Yield all settings; leaves out a start_confidence without effect."""
    for values in itertools.product(*GRID.values()):
        config = SpanConfig(**dict(zip(GRID, values, strict=True)))
        if not 0 < config.start_confidence <= config.min_confidence:
            yield config


def count(videos: Iterable[VideoSpans], config: SpanConfig) -> Counts:
    """Compare the spans made with a setting with the true ones."""
    counts = Counts()
    for video in videos:
        for key in video.confidences.keys() | video.spans.keys():
            confidences = video.confidences.get(key, {})
            predicted = held_spans(confidences, config, video.num_frames)
            true = video.spans.get(key, ())
            predicted_frames, true_frames = frames_of(predicted), frames_of(true)
            counts.said_spans += len(predicted)
            counts.true_spans += len(true)
            counts.met_spans += count_matches(predicted, true)
            counts.said_frames += len(predicted_frames)
            counts.true_frames += len(true_frames)
            counts.met_frames += len(predicted_frames & true_frames)
    return counts


def count_matches(predicted: Sequence[Span], true: Sequence[Span]) -> int:
    """Count the matching spans, each once.

    Spans of one list are disjoint, so a span can exceed an IoU of a half with one other
    only; the order decides ties alone.
    """
    matched, left = 0, list(true)
    for first, last in predicted:
        for span in left:
            shared = min(last, span[1]) - max(first, span[0]) + 1
            union = max(last, span[1]) - min(first, span[0]) + 1
            if shared >= OVERLAP * union:
                matched += 1
                left.remove(span)
                break
    return matched


def video_spans(graph: SceneGraph, truth, tracks: Mapping[int, int]) -> VideoSpans:
    """Collect predictions and true spans; `tracks` are {true id: id in the graph}."""
    true_of = {track: true for true, track in tracks.items()}
    confidences: dict[Key, dict[int, float]] = defaultdict(dict)
    for entry in graph.frames:
        subject = true_of.get(entry.subject_id, -entry.subject_id)
        for triplet in entry.triplets:
            other = true_of.get(triplet.object_id, -triplet.object_id)
            by_frame = confidences[subject, other, triplet.predicate]
            known = by_frame.get(entry.frame, 0.0)
            by_frame[entry.frame] = max(known, triplet.confidence)
    spans: dict[Key, Sequence[Span]] = {}
    for own in truth.subjects:
        for column, predicate in np.unique(own.units[:, 1:], axis=0).tolist():
            rows = (own.units[:, 1:] == (column, predicate)).all(axis=1)
            name = truth.vocabulary.predicates[predicate]
            key = own.subject_id, int(own.objects[column]), name
            spans[key] = merge_spans(own.units[rows, 0])
    return VideoSpans(graph.video.num_frames, dict(confidences), spans)


def main(argv: Sequence[str]) -> None:
    del argv
    for flag in (OUTPUT, DATA_DIR, CHECKPOINT):
        if not flag.value:
            raise InputError(f"--{flag.name} is missing: name a folder")
    output, split = Path(OUTPUT.value), protocol_flags.protocol_from_flags().split
    check_output(output)
    dataset = open_dataset(DATA_DIR.value, NAME.value or DEFAULT_NAME)
    videos = dataset.videos(split)[: MAX_VIDEOS.value]
    protocol = Protocol(split=split, runs=1)
    predicted = list(predict_videos(dataset, videos, protocol, output / "graphs"))
    found = [(count(predicted, config), config) for config in grid()]
    found.sort(key=lambda pair: pair[0].f1(), reverse=True)
    default = (count(predicted, SpanConfig()), SpanConfig())
    show([*found[:SHOWN], default], len(predicted))
    rows = [
        {
            **dataclasses.asdict(config),
            **dataclasses.asdict(counts),
            "span F1": counts.f1()[0],
            "frame F1": counts.f1()[1],
        }
        for counts, config in (default, *found)
    ]
    document = {
        "data": f"{dataset.name}/{split}",
        "videos": len(predicted),
        "default": rows[0],
        "settings": rows[1:],
    }
    text = json.dumps(document, indent=1, allow_nan=False)
    write_text(output / "spans.json", text + "\n")
    print(f"written to {output / 'spans.json'}")


def predict_videos(
    dataset: Dataset, videos: Sequence[VideoRecord], protocol: Protocol, folder: Path
) -> Iterator[VideoSpans]:
    """Yield the predictions for each video; reads and writes graphs in the folder."""
    from c2g_jax.checkpoints.pretrained import load_click2graph
    from c2g_jax.checkpoints.safetensors import read_manifest
    from c2g_jax.correction.simulate import click_subjects, match_tracks, read_truth
    from c2g_jax.session.session import Session

    folder.mkdir(parents=True, exist_ok=True)
    model, sha256 = None, read_manifest(CHECKPOINT.value)["sha256"]
    with frame_progress() as begin:
        advance = begin("tracked", sum(video.num_frames for video in videos))
        for video in videos:
            truth = read_truth(dataset, video, protocol)
            path = folder / f"{video.video_id}.json"
            if not path.exists():
                if model is None:
                    model, _ = load_click2graph(CHECKPOINT.value)
                frames = open_prepared(dataset, video)
                with contextlib.closing(Session(frames, model)) as session:
                    clicked = click_subjects(session, truth)
                    graph = session.graph()
                made_by = {"sha256": sha256, "clicked": sorted(clicked.items())}
                write_scene_graph(path, dataclasses.replace(graph, provenance=made_by))
            graph = read_scene_graph(path)
            if graph.provenance.get("sha256") != sha256:
                raise InputError(
                    f"{path} was made with other weights: use another --output"
                )
            clicked = dict(graph.provenance["clicked"])
            yield video_spans(graph, truth, match_tracks(graph, truth, clicked))
            advance(video.num_frames)


def show(rows: Sequence[tuple[Counts, SpanConfig]], videos: int) -> None:
    """Print the rows as a table; the last row has the defaults."""
    table = Table("", *GRID, "F1 of spans", "F1 of frames", title=f"{videos} videos")
    for place, (counts, config) in enumerate(rows, 1):
        values = (f"{value:g}" for value in dataclasses.astuple(config))
        spans, frames = counts.f1()
        name = "default" if place == len(rows) else str(place)
        table.add_row(name, *values, f"{spans:.3f}", f"{frames:.3f}")
    Console().print(table)


if __name__ == "__main__":
    launch.run(main)
