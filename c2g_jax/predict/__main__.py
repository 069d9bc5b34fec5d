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

--auto takes no prompt: every object that stays in view is a subject. --videos=DIR does
all films of a folder, and goes on after a stop.

A checkpoint with SAM2.1 alone finds and names nothing: the result is the tracks of what
was prompted, with the names and relations that FILE.json gives.
"""

import contextlib
import dataclasses
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from absl import flags

from c2g_jax.cli import launch
from c2g_jax.cli.compiled import keep_compiled
from c2g_jax.cli.interrupts import interruptible_imports
from c2g_jax.cli.launch import (
    CHECKPOINT,
    DISCOVER_EVERY,
    IMAGE_SIZE,
    SEED,
    compute_dtype,
)
from c2g_jax.export.report import print_relations, progress_bar
from c2g_jax.media.images import resize_frame
from c2g_jax.media.rle import encode_mask
from c2g_jax.predict import flags as predict_flags
from c2g_jax.predict.flags import VIDEOS
from c2g_jax.predict.job import Job, read_jobs
from c2g_jax.predict.results import (
    check_new_folder,
    done_before,
    provenance,
    recording_times,
    video_info,
    write_results,
)
from c2g_jax.tracking.scene_graph import GraphBuilder, annotated_graph
from c2g_jax.types import SceneGraph

if TYPE_CHECKING:  # --help does not need JAX
    from c2g_jax.click2graph.model import Click2Graph

# What to reduce when memory is exhausted.
LOWER = "--image_size, or --size, or the number of subjects"

flags.adopt_module_key_flags(predict_flags)
flags.declare_key_flag("compilation_cache")


def main(argv: Sequence[str]) -> None:
    del argv
    jobs = read_jobs()
    many = VIDEOS.value is not None
    left = [job for job in jobs if not (many and done_before(job))]
    if many:
        print(f"{len(jobs) - len(left)} of {len(jobs)} films are done already")
    for job in left:
        check_new_folder(job)
    model = make_model(left[0]) if left and (many or left[0].auto) else None
    for job in left:
        if many:
            print(f"{job.output.name}: {job.video.num_frames} frames", flush=True)
        if job.auto:
            from c2g_jax.predict.automatic import run_automatic

            graph = run_automatic(job, model)
        else:
            track = make_tracker(job) if model is None else tracker_of(model, job)
            graph = run_job(job, track)
        report(job, graph)


def report(job: Job, graph: SceneGraph) -> None:
    """Print what was found, and where it is written."""
    if job.auto and not any(entry.triplets for entry in graph.frames):
        count = len(graph.objects)
        print(f"{count} object{'s' * (count != 1)} followed, without relations")
    else:
        print_relations(graph, job.spans)
    print(f"written to {job.output}")


def run() -> None:
    """Run the command, for `python -m` and the console script."""
    launch.run(main, lower=LOWER)


def make_tracker(job: Job) -> Callable:
    """Build the model; returns a function from frames to an iterator of FrameResult."""
    return tracker_of(make_model(job), job)


def tracker_of(model: "Click2Graph", job: Job) -> Callable:
    """Return a function from frames to an iterator of FrameResult."""
    from c2g_jax.tracking.loop import track_video

    def track(frames):
        count = job.video.num_frames
        return track_video(model, frames, job.prompts, resize_frame, count)

    return track


def make_model(job: Job) -> "Click2Graph":
    """Load the model of a job, and say what its weights are."""
    with interruptible_imports():
        from c2g_jax.checkpoints.description import describe_weights
        from c2g_jax.checkpoints.heads import load_model
        from c2g_jax.checkpoints.pretrained import seeded_click2graph
        from c2g_jax.click2graph.model import click2graph_config
        from c2g_jax.sam2.config import sam2_config

    keep_compiled()
    every, seed = DISCOVER_EVERY.value, SEED.value
    dtype = compute_dtype()
    if job.checkpoint is None:
        warn(
            f"no --checkpoint: the weights are untrained (random, seed {seed}), so "
            "masks and relations mean nothing"
        )
        sam2 = sam2_config(job.size, IMAGE_SIZE.value, dtype)
        config = click2graph_config(sam2, discover_every=every)
        return seeded_click2graph(config, seed)
    model, warning = load_model(
        job.checkpoint,
        job.heads,
        size=job.size,
        image_size=IMAGE_SIZE.value,
        dtype=dtype,
        seed=seed,
        discover_every=every,
        named=CHECKPOINT.value,
    )
    weights = describe_weights(job.checkpoint, job.heads, CHECKPOINT.value)
    warn(weights + launch.computing())
    if warning is not None:
        warn(warning)
    return model


def run_job(job: Job, track: Callable) -> SceneGraph:
    """Track the video and write the results; an error leaves no files."""
    builder, times, dropped = GraphBuilder(encode_mask, job.spans), [], 0
    with progress_bar() as progress:
        tracking = progress.add_task("tracking", total=job.video.num_frames)
        with contextlib.closing(iter(job.video)) as frames:
            for result in track(recording_times(frames, times)):
                builder.add(result)
                dropped += result.dropped
                progress.advance(tracking)
        builder.drop_met_once()
        graph = builder.build(video_info(job, times), provenance(job, dropped))
        graph = annotate(graph, job, builder.kept_id)
        write_results(job, graph, progress)
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


def warn(line: str) -> None:
    """Print a warning on stderr; stdout is for the result."""
    print(line, file=sys.stderr)


if __name__ == "__main__":
    run()
