"""Predict the scene graph of a video from a click on a subject.

    python -m c2g_jax.predict --video=clip.mp4 --point=310,220 --output=out

writes out/scene_graph.json and out/overlay.mp4 (for a single image also overlay.png)
and prints the relations. Coordinates are pixels of the video, (0, 0) at its top left
corner. All --point, --label and --box belong to one subject; for several subjects or
frames use --prompts=FILE.json:

    {"prompts": [
      {"frame": 0, "object": 1, "points": [[310, 220], [40, 50]], "labels": [1, 0]},
      {"frame": 0, "object": 2, "box": [20, 30, 180, 240]},
      {"frame": 12, "object": 3, "mask": "cup.png", "name": "cup"}],
     "relations": [[1, 3, "holding", [[4, 20]]]]}

A checkpoint with SAM2.1 alone finds and names nothing: the result is the tracks of what
was prompted, with the names and relations that FILE.json gives.
"""

import contextlib
import dataclasses
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from absl import flags

from c2g_jax import __version__
from c2g_jax.cli import launch
from c2g_jax.cli.compiled import keep_compiled
from c2g_jax.cli.interrupts import interruptible_imports
from c2g_jax.cli.launch import (
    CHECKPOINT,
    DISCOVER_EVERY,
    DTYPE,
    IMAGE_SIZE,
    MAX_FRAMES,
    SEED,
)
from c2g_jax.export.overlay import write_overlay
from c2g_jax.export.report import print_relations, progress_bar
from c2g_jax.export.scene_graph_json import write_scene_graph
from c2g_jax.media.images import resize_frame
from c2g_jax.media.outputs import output_folder
from c2g_jax.media.rle import encode_mask
from c2g_jax.predict import flags as predict_flags
from c2g_jax.predict.flags import (
    END,
    FPS,
    RESULTS,
    SPANS,
    START,
    Job,
    read_job,
)
from c2g_jax.predict.prompts_file import prompts_to_json
from c2g_jax.tracking.scene_graph import GraphBuilder, annotated_graph
from c2g_jax.types import SceneGraph, VideoInfo

# What to reduce when memory is exhausted.
LOWER = "--image_size, or --size, or the number of subjects"

flags.adopt_module_key_flags(predict_flags)
flags.declare_key_flag("compilation_cache")


def main(argv: Sequence[str]) -> None:
    del argv
    job = read_job()
    track = make_tracker(job)
    graph = run_job(job, track)
    print_relations(graph, job.spans)
    print(f"written to {job.output}")


def run() -> None:
    """Run the command, for `python -m` and the console script."""
    launch.run(main, lower=LOWER)


def make_tracker(job: Job) -> Callable:
    """Build the model; returns a function from frames to an iterator of FrameResult."""
    with interruptible_imports():
        from c2g_jax.checkpoints.description import describe_weights
        from c2g_jax.checkpoints.heads import load_model
        from c2g_jax.checkpoints.pretrained import seeded_click2graph
        from c2g_jax.click2graph.model import click2graph_config
        from c2g_jax.sam2.config import sam2_config
        from c2g_jax.tracking.loop import track_video

    keep_compiled()
    every, seed = DISCOVER_EVERY.value, SEED.value
    if job.checkpoint is None:
        warn(
            f"no --checkpoint: the weights are untrained (random, seed {seed}), so "
            "masks and relations mean nothing"
        )
        sam2 = sam2_config(job.size, IMAGE_SIZE.value, DTYPE.value)
        config = click2graph_config(sam2, discover_every=every)
        model = seeded_click2graph(config, seed)
    else:
        model, warning = load_model(
            job.checkpoint,
            job.heads,
            size=job.size,
            image_size=IMAGE_SIZE.value,
            dtype=DTYPE.value,
            seed=seed,
            discover_every=every,
            named=CHECKPOINT.value,
        )
        warn(describe_weights(job.checkpoint, job.heads, CHECKPOINT.value))
        if warning is not None:
            warn(warning)

    def track(frames):
        count = job.video.num_frames
        return track_video(model, frames, job.prompts, resize_frame, count)

    return track


def run_job(job: Job, track: Callable) -> SceneGraph:
    """Track the video and write the results; an error leaves no files."""
    builder, times, dropped = GraphBuilder(encode_mask, job.spans), [], 0
    total = job.video.num_frames
    with progress_bar() as progress:
        tracking = progress.add_task("tracking", total=total)
        with contextlib.closing(iter(job.video)) as frames:
            for result in track(recording_times(frames, times)):
                builder.add(result)
                dropped += result.dropped
                progress.advance(tracking)
        video = job.video
        info = VideoInfo(video.name, video.width, video.height, video.fps, tuple(times))
        graph = builder.build(info, provenance(job, dropped))
        graph = annotate(graph, job, builder.kept_id)
        drawing = progress.add_task("drawing", total=total)
        with output_folder(job.output, RESULTS) as folder:
            write_scene_graph(folder / RESULTS[0], graph)
            with contextlib.closing(iter(video)) as frames:
                shown = progress.track(frames, task_id=drawing)
                write_overlay(folder, shown, graph)
    return graph


def annotate(graph: SceneGraph, job: Job, kept_id: Callable[[int], int]) -> SceneGraph:
    """Return the graph with the names and relations of --prompts, by the ids kept."""
    told = job.annotations
    relations = [
        dataclasses.replace(
            r, subject_id=kept_id(r.subject_id), object_id=kept_id(r.object_id)
        )
        for r in told.relations
    ]
    names = {kept_id(i): name for i, name in reversed(told.names.items())}
    return annotated_graph(graph, names, relations)


def recording_times(frames, times: list[float]) -> Iterator:
    """Yield the frames unchanged and append the seconds of each to `times`."""
    for frame in frames:
        times.append(frame.time)
        yield frame


def provenance(job: Job, dropped: int) -> dict:
    """Return what reproduces the graph: checkpoint, size, seed, options, prompts."""
    checkpoint = None
    if job.manifest is not None:
        given = Path(CHECKPOINT.value or job.checkpoint)
        name = given.name if given.is_file() else given.resolve().name
        checkpoint = {"name": name, "sha256": job.manifest["sha256"]}
    heads = {}
    if job.heads is not None:
        name = job.heads.resolve().name
        heads = {"heads": {"name": name, "sha256": job.heads_manifest["sha256"]}}
    options = (IMAGE_SIZE, DTYPE, FPS, START, END, MAX_FRAMES)
    options += (DISCOVER_EVERY,)
    spans = {flag.name: getattr(job.spans, name) for name, flag in SPANS.items()}
    return {
        "program": f"click2graph-jax {__version__}",
        "checkpoint": checkpoint,
        **heads,
        "size": job.size,
        "seed": SEED.value,
        "options": {flag.name: flag.value for flag in options} | spans,
        "prompts": prompts_to_json(job.prompts, job.annotations.names),
        "dropped_tracks": dropped,
    }


def warn(line: str) -> None:
    """Print a warning on stderr; stdout is for the result."""
    print(line, file=sys.stderr)


if __name__ == "__main__":
    run()
