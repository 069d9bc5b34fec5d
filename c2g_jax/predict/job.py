"""What the flags of predict ask for, checked before the model is loaded."""

import dataclasses
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from c2g_jax.cli.interrupts import interruptible_imports
from c2g_jax.cli.launch import (
    AUTO,
    CHECKPOINT,
    FPS,
    HEADS,
    IMAGE_SIZE,
    MAX_FRAMES,
    OUTPUT,
    VIDEO,
    compute_dtype,
)
from c2g_jax.click2graph.settings import RANKED, SpanConfig
from c2g_jax.media.masks import read_mask
from c2g_jax.media.outputs import check_output
from c2g_jax.media.video import Video, check_not_input, open_video
from c2g_jax.predict.films import films_of
from c2g_jax.predict.flags import (
    BOX,
    END,
    FORMATS,
    FRAME,
    LABEL,
    MASK,
    MASK_ID,
    POINT,
    PROMPTS,
    SIZE,
    SPANS,
    START,
    VIDEOS,
    check_flags,
)
from c2g_jax.predict.prompts_file import (
    NOTHING_SAID,
    Annotations,
    numbers,
    read_annotated_prompts,
)
from c2g_jax.tracking.spans import check_spans
from c2g_jax.types import AutoRules, InputError, Prompt

RESULTS = ("scene_graph.json", "overlay.mp4", "overlay.png", "coco.json")
SUBJECT = 1  # object id of the subject that the flags prompt


@dataclass(frozen=True)
class Job:
    """The request made by the flags, checked as far as possible without the model."""

    video: Video
    prompts: list[Prompt]
    output: Path
    size: str
    checkpoint: Path | None  # None: randomly initialised model
    manifest: dict | None  # the checkpoint's
    heads: Path | None = None  # file of DIDM and SCH, in place of the checkpoint's
    heads_manifest: dict | None = None
    spans: SpanConfig = RANKED
    annotations: Annotations = NOTHING_SAID
    auto: AutoRules | None = None  # how subjects are found; None: they are prompted
    formats: tuple[str, ...] = ()  # of FORMATS


def read_jobs() -> list[Job]:
    """Read the jobs of the flags: one, or one for each film of --videos, in order.

    InputError if a flag is missing or not valid.
    """
    if not VIDEO.value and VIDEOS.value is None:
        raise InputError("--video is missing: name a video, folder of frames or image")
    rules = check_flags()
    output = Path(OUTPUT.value)
    if VIDEOS.value is None:
        told = _told(PROMPTS.value)
        films = [open_film(VIDEO.value, output, *told)]
    else:
        if VIDEO.value:
            raise InputError("--video and --videos exclude each other: give one")
        films = [
            open_film(film, output / name, *_told(_prompts_of(name)))
            for name, film in films_of(VIDEOS.value).items()
        ]
    size, checkpoint, manifest = read_checkpoint()
    heads, of_heads = read_heads_flag()
    shared = {
        "size": size,
        "checkpoint": checkpoint,
        "manifest": manifest,
        "heads": heads,
        "heads_manifest": of_heads,
        "spans": read_spans(checkpoint),
        "auto": rules,
        "formats": tuple(dict.fromkeys(FORMATS.value)),
    }
    return [Job(**film, **shared) for film in films]


def _prompts_of(name: str) -> Path | None:
    """Return the file of prompts of a film of --videos, None with --auto."""
    if AUTO.value:
        return None
    if PROMPTS.value is None or not os.path.isdir(PROMPTS.value):
        raise InputError(
            "--videos needs a folder --prompts with FILM.json for each film, or --auto"
        )
    return Path(PROMPTS.value) / f"{name}.json"


def _told(path: str | Path | None) -> tuple[list[Prompt], Annotations]:
    return ([], NOTHING_SAID) if AUTO.value else read_flag_prompts(path)


def open_film(
    film: str | Path, output: Path, prompts: list[Prompt], annotations: Annotations
) -> dict[str, Any]:
    """Open a film and check its prompts; return the fields of its `Job`."""
    check_output(output)
    for name in RESULTS:
        if os.path.exists(output / name):
            check_not_input(film, output / name, "--video")
    video = open_video(
        film, FPS.value or None, START.value, END.value, MAX_FRAMES.value
    )
    for prompt in prompts:
        prompt.check(video.width, video.height, video.num_frames)
    for r in annotations.relations:
        place = f"--prompts: {r.subject_id} {r.predicate} {r.object_id}"
        check_spans(r.spans, video.num_frames, place)
    return {
        "video": video,
        "prompts": prompts,
        "output": output,
        "annotations": annotations,
    }


def read_heads_flag() -> tuple[Path | None, dict | None]:
    """Return the file of --heads and its manifest."""
    if HEADS.value is None:
        return None, None
    with interruptible_imports():
        from c2g_jax.checkpoints.heads import heads_manifest

    if CHECKPOINT.value is None and SIZE.value is not None:
        raise InputError("--heads needs trained weights: give a --checkpoint")
    return Path(HEADS.value), heads_manifest(HEADS.value)


def read_flag_prompts(
    path: str | Path | None,
) -> tuple[list[Prompt], Annotations]:
    """Read the prompts of a file, or the one of --point, --label, --box, --mask.

    Returns them with the names and relations that --prompts gives.
    """
    if MASK_ID.value is not None and not MASK.value:
        raise InputError("--mask_id is given without --mask: name the image of ids")
    single = {"point": POINT, "label": LABEL, "box": BOX, "mask": MASK}
    given = [name for name, flag in single.items() if flag.value]
    if path is None:
        if not given:
            raise InputError(
                "no prompt: give --point, --box, --mask or --prompts, or --auto"
            )
        points = [numbers("point", text, "x,y") for text in POINT.value]
        box = None if BOX.value is None else numbers("box", BOX.value, "x1,y1,x2,y2")
        mask = None if MASK.value is None else read_mask(MASK.value, MASK_ID.value)
        labels = LABEL.value or None
        points = np.reshape(points, (-1, 2))
        prompt = Prompt(FRAME.value, SUBJECT, points, labels, box, mask)
        return [prompt], NOTHING_SAID
    given += ["frame"] if FRAME.present else []
    if given:
        raise InputError(f"--{given[0]} and --prompts exclude each other: give one")
    return read_annotated_prompts(path)


def read_spans(checkpoint: Path | None) -> SpanConfig:
    """Return the settings of spans of the checkpoint or --heads, changed by flags."""
    with interruptible_imports():
        from c2g_jax.checkpoints.heads import settings_in_use

    settings = settings_in_use(checkpoint, HEADS.value)
    spans = RANKED if settings is None else settings.spans
    given = {k: flag.value for k, flag in SPANS.items() if flag.value is not None}
    if "top" in given:
        given["top"] = given["top"] or None
    return dataclasses.replace(spans, **given)


def read_checkpoint() -> tuple[str, Path | None, dict | None]:
    """Return the model size, the checkpoint and its manifest; InputError on a mismatch.

    Without --checkpoint: the one of the package, or none (random weights) if --size is
    given.
    """
    with interruptible_imports():  # --help does not need JAX
        from c2g_jax.checkpoints.pretrained import check_size, find_checkpoint
        from c2g_jax.checkpoints.safetensors import read_manifest
        from c2g_jax.sam2.config import sam2_config

    size, checkpoint, manifest = SIZE.value, None, None
    if CHECKPOINT.value is not None or size is None:
        checkpoint = find_checkpoint(CHECKPOINT.value)
        manifest = read_manifest(checkpoint)
        named = CHECKPOINT.value or checkpoint  # not its conversion in the cache
        check_size(manifest, size, named, "ask for --size={size}")
        size = manifest["size"]
    sam2_config(size, IMAGE_SIZE.value, compute_dtype())
    return size, checkpoint, manifest
