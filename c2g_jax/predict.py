"""Click on a subject in a video, get its scene graph.

    python -m c2g_jax.predict --video=clip.mp4 --point=310,220 --output=out

writes out/scene_graph.json and out/overlay.mp4 (for a single image overlay.png, too)
and prints the relations. Coordinates are pixels of the video, x to the right and y
down from its top left corner. All --point, --label and --box belong to one subject;
for several subjects or frames give --prompts=FILE.json:

    {"prompts": [
      {"frame": 0, "object": 1, "points": [[310, 220], [40, 50]], "labels": [1, 0]},
      {"frame": 0, "object": 2, "box": [20, 30, 180, 240]},
      {"frame": 12, "object": 3, "mask": "cup.png"}]}
"""

import contextlib
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from absl import flags

import c2g_jax
from c2g_jax import launch
from c2g_jax.compiled import keep_compiled
from c2g_jax.export import write_scene_graph
from c2g_jax.frames import MAX_FPS
from c2g_jax.images import read_mask, resize_frame
from c2g_jax.interrupts import loading
from c2g_jax.launch import (
    CHECKPOINT,
    DISCOVER_EVERY,
    DTYPE,
    IMAGE_SIZE,
    MAX_FRAMES,
    OUTPUT,
    SEED,
    VIDEO,
)
from c2g_jax.outputs import check_output, output_folder
from c2g_jax.overlay import write_overlay
from c2g_jax.prompts_file import numbers, prompts_to_json, read_prompts
from c2g_jax.report import print_relations, progress_bar
from c2g_jax.rle import encode_mask
from c2g_jax.scene_graph import GraphBuilder, SpanConfig
from c2g_jax.types import InputError, Prompt, SceneGraph, VideoInfo
from c2g_jax.video import DEFAULT_FPS, Video, open_video

DEFAULT_SIZE = "large"
SUBJECT = 1  # the id of the one object that the flags prompt
RESULTS = ("scene_graph.json", "overlay.mp4", "overlay.png")
LOWER = "--image_size, or --size, or the number of subjects"

flags.declare_key_flag("video")
flags.declare_key_flag("output")
FRAME = flags.DEFINE_integer(
    "frame",
    0,
    "Frame that the prompt is on; counts SAMPLED frames from 0: at --fps=5 frame 10 "
    "is at 2 seconds after --start.",
)
POINT = flags.DEFINE_multi_string("point", [], "x,y in pixels")
LABEL = flags.DEFINE_multi_integer(
    "label", [], "1 (on the subject) or 0 (off it), one for each --point in order"
)
BOX = flags.DEFINE_string("box", None, "x1,y1,x2,y2 in pixels around the subject.")
MASK = flags.DEFINE_string(
    "mask", None, "Image of the frame's size, the subject anything but black."
)
PROMPTS = flags.DEFINE_string(
    "prompts", None, "JSON file of several prompts, instead of --point, --box, --mask."
)
flags.declare_key_flag("checkpoint")
SIZE = flags.DEFINE_string(
    "size",
    None,
    "toy, tiny, small, base_plus or large. Default: the checkpoint's, else large.",
)
flags.declare_key_flag("image_size")
flags.declare_key_flag("dtype")
FPS = flags.DEFINE_float(
    "fps",
    DEFAULT_FPS,
    "Frames sampled a second, by time stamp; 0: every frame. A folder is taken "
    "frame by frame, as if they came at this rate.",
)
START = flags.DEFINE_float("start", None, "Seconds of the video to begin at.")
END = flags.DEFINE_float("end", None, "Seconds of the video to stop at.")
flags.declare_key_flag("max_frames")
flags.declare_key_flag("discover_every")
MIN_FRAMES = flags.DEFINE_integer(
    "min_frames", SpanConfig.min_length, "Shortest span of a relation, in frames."
)
MAX_GAP = flags.DEFINE_integer(
    "max_gap", SpanConfig.max_gap, "Frames without a relation that a span runs across."
)
MIN_CONFIDENCE = flags.DEFINE_float(
    "min_confidence", SpanConfig.min_confidence, "Guesses below it do not count."
)
START_CONFIDENCE = flags.DEFINE_float(
    "start_confidence",
    SpanConfig.start_confidence,
    "Least that one guess of a span reaches.",
)
flags.declare_key_flag("seed")
flags.declare_key_flag("compilation_cache")


@dataclass(frozen=True)
class Job:
    """What the flags ask for, checked as far as it can be before the model runs."""

    video: Video
    prompts: list[Prompt]
    output: Path
    size: str
    manifest: dict | None  # the checkpoint's


def main(argv: Sequence[str]) -> None:
    del argv
    job = read_job()
    track = make_tracker(job)
    graph = run_job(job, track)
    print_relations(graph)
    print(f"written to {job.output}")


def run() -> None:
    """For `python -m` and the console script."""
    launch.run(main, lower=LOWER)


def read_job() -> Job:
    """The job in the flags; InputError for whatever in them cannot be done."""
    if not VIDEO.value:
        raise InputError("--video is missing: name a video, folder of frames or image")
    if not OUTPUT.value:
        raise InputError("--output is missing: name a folder for the results")
    if not 0 <= FPS.value <= MAX_FPS:
        raise InputError(
            f"--fps is {FPS.value:g}: give 0 (every frame), or up to {MAX_FPS}"
        )
    for flag in (MIN_CONFIDENCE, START_CONFIDENCE):
        if not 0 <= flag.value <= 1:
            raise InputError(
                f"--{flag.name} is {flag.value:g}: give a number from 0 to 1"
            )
    at_least = ((DISCOVER_EVERY, 1), (MIN_FRAMES, 1), (MAX_GAP, 0), (SEED, 0))
    for flag, least in at_least:
        if not least <= flag.value < 1 << 31:
            raise InputError(
                f"--{flag.name} is {flag.value}: give {least} or more, below 2^31"
            )
    output = Path(OUTPUT.value)
    check_output(output)
    prompts = read_flag_prompts()
    video = open_video(
        VIDEO.value, FPS.value or None, START.value, END.value, MAX_FRAMES.value
    )
    for prompt in prompts:
        prompt.check(video.width, video.height, video.num_frames)
    size, manifest = read_size()
    return Job(video, prompts, output, size, manifest)


def read_flag_prompts() -> list[Prompt]:
    """The prompts of --prompts, or the one of --point, --label, --box, --mask."""
    own = {"point": POINT, "label": LABEL, "box": BOX, "mask": MASK}
    given = [name for name, flag in own.items() if flag.value]
    if PROMPTS.value is None:
        if not given:
            raise InputError("no prompt: give --point, --box, --mask or --prompts")
        points = [numbers("point", text, "x,y") for text in POINT.value]
        box = None if BOX.value is None else numbers("box", BOX.value, "x1,y1,x2,y2")
        mask = None if MASK.value is None else read_mask(MASK.value)
        labels = LABEL.value or None
        return [
            Prompt(FRAME.value, SUBJECT, np.reshape(points, (-1, 2)), labels, box, mask)
        ]
    given += ["frame"] if FRAME.present else []
    if given:
        raise InputError(f"--{given[0]} and --prompts exclude each other: give one")
    return read_prompts(PROMPTS.value)


def read_size() -> tuple[str, dict | None]:
    """The size to run and the checkpoint's manifest; InputError if they disagree."""
    with loading():  # JAX is not needed for --help
        from c2g_jax.sam2.config import sam2_config
        from c2g_jax.weights import read_manifest

    size, manifest = SIZE.value, None
    if CHECKPOINT.value is not None:
        manifest = read_manifest(CHECKPOINT.value)
        if size not in (None, manifest["size"]):
            raise InputError(
                f"the checkpoint in {CHECKPOINT.value} is of size {manifest['size']}, "
                f"not {size}: ask for --size={manifest['size']} or give another"
            )
        size = manifest["size"]
    size = size or DEFAULT_SIZE
    sam2_config(size, IMAGE_SIZE.value, DTYPE.value)
    return size, manifest


def make_tracker(job: Job) -> Callable:
    """A function from frames to FrameResults: the model with its weights in place."""
    with loading():
        from c2g_jax.click2graph import click2graph_config
        from c2g_jax.pretrained import (
            load_click2graph,
            seeded_click2graph,
            untrained,
        )
        from c2g_jax.sam2.config import sam2_config
        from c2g_jax.tracking import track_video

    keep_compiled()
    every, seed = DISCOVER_EVERY.value, SEED.value
    if CHECKPOINT.value is None:
        warn(
            f"no --checkpoint: the weights are untrained (random, seed {seed}), so "
            "masks and relations mean nothing"
        )
        sam2 = sam2_config(job.size, IMAGE_SIZE.value, DTYPE.value)
        config = click2graph_config(sam2, discover_every=every)
        model = seeded_click2graph(config, seed)
    else:
        model, trained = load_click2graph(
            CHECKPOINT.value,
            size=job.size,
            image_size=IMAGE_SIZE.value,
            dtype=DTYPE.value,
            seed=seed,
            discover_every=every,
        )
        if not trained:
            warn(untrained(CHECKPOINT.value))

    def track(frames):
        count = job.video.num_frames
        return track_video(model, frames, job.prompts, resize_frame, count)

    return track


def run_job(job: Job, track: Callable) -> SceneGraph:
    """Run the model over the video and write the results; nothing if it fails."""
    spans = SpanConfig(
        MAX_GAP.value,
        MIN_FRAMES.value,
        MIN_CONFIDENCE.value,
        START_CONFIDENCE.value,
    )
    builder, times, dropped = GraphBuilder(encode_mask, spans), [], 0
    total = job.video.num_frames
    with progress_bar() as progress:
        following = progress.add_task("following", total=total)
        with contextlib.closing(iter(job.video)) as frames:
            for result in track(noting_times(frames, times)):
                builder.add(result)
                dropped += result.dropped
                progress.advance(following)
        video = job.video
        info = VideoInfo(video.name, video.width, video.height, video.fps, tuple(times))
        graph = builder.build(info, provenance(job, dropped))
        painting = progress.add_task("painting", total=total)
        with output_folder(job.output, RESULTS) as folder:
            write_scene_graph(folder / RESULTS[0], graph)
            with contextlib.closing(iter(video)) as frames:
                shown = progress.track(frames, task_id=painting)
                write_overlay(folder, shown, graph)
    return graph


def noting_times(frames, times: list[float]) -> Iterator:
    """The frames as they are, their seconds added to `times` as they pass."""
    for frame in frames:
        times.append(frame.time)
        yield frame


def provenance(job: Job, dropped: int) -> dict:
    """What made the graph: enough to make it again."""
    checkpoint = None
    if job.manifest is not None:
        name = Path(CHECKPOINT.value).resolve().name
        checkpoint = {"name": name, "sha256": job.manifest["sha256"]}
    options = (IMAGE_SIZE, DTYPE, FPS, START, END, MAX_FRAMES)
    options += (DISCOVER_EVERY, MIN_FRAMES, MAX_GAP, MIN_CONFIDENCE, START_CONFIDENCE)
    return {
        "program": f"click2graph-jax {c2g_jax.__version__}",
        "checkpoint": checkpoint,
        "size": job.size,
        "seed": SEED.value,
        "options": {flag.name: flag.value for flag in options},
        "prompts": prompts_to_json(job.prompts),
        "dropped_tracks": dropped,
    }


def warn(line: str) -> None:
    """Tell the user on stderr, apart from what is printed as the result."""
    print(line, file=sys.stderr)


if __name__ == "__main__":
    run()
