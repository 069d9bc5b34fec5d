"""The results of a job: files, what reproduces them, and whether they are there."""

import contextlib
import dataclasses
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from c2g_jax import __version__
from c2g_jax.cli.launch import (
    CHECKPOINT,
    DISCOVER_EVERY,
    DTYPE,
    IMAGE_SIZE,
    MAX_FRAMES,
    SEED,
    compute_dtype,
)
from c2g_jax.export.coco import write_coco
from c2g_jax.export.open_pvsg import write_open_pvsg
from c2g_jax.export.overlay import write_overlay
from c2g_jax.export.scene_graph_json import write_scene_graph
from c2g_jax.media.outputs import output_folder
from c2g_jax.predict.films import is_done
from c2g_jax.predict.flags import END, FPS, SPANS, START
from c2g_jax.predict.job import RESULTS, Job
from c2g_jax.predict.prompts_file import prompts_to_json
from c2g_jax.tracking.scene_graph import UNKNOWN
from c2g_jax.types import InputError, SceneGraph, VideoInfo
from c2g_jax.vocabulary import Vocabulary

OPEN_PVSG = "open_pvsg"  # the folder of that format
FILES_OF = {"coco.json": "coco", OPEN_PVSG: "open_pvsg"}
OTHERS = "others"  # a category of OpenPVSG


def video_info(job: Job, times: Sequence[float]) -> VideoInfo:
    video = job.video
    return VideoInfo(video.name, video.width, video.height, video.fps, tuple(times))


def write_results(job: Job, graph: SceneGraph, progress: Any) -> None:
    """Write the files of a job: all of them, or none; `progress` is a progress bar."""
    video = job.video
    drawing = progress.add_task("drawing", total=video.num_frames)
    names = vocabulary_of(job)
    with output_folder(job.output, RESULTS) as folder:
        write_scene_graph(folder / RESULTS[0], graph)
        with contextlib.closing(iter(video)) as frames:
            shown = progress.track(frames, task_id=drawing)
            write_overlay(folder, shown, graph)
        certain = without_candidates(graph)
        if "coco" in job.formats:
            write_coco(folder / "coco.json", certain, names)
        if "open_pvsg" in job.formats:
            with contextlib.closing(iter(video)) as frames:
                named = name_others(certain)
                write_open_pvsg(folder / OPEN_PVSG, named, frames, vocabulary=names)


def vocabulary_of(job: Job) -> Vocabulary | None:
    """Return the vocabulary of the heads, None for OpenPVSG's."""
    shape = ((job.heads_manifest or job.manifest) or {}).get("click2graph") or {}
    own = shape.get("vocabulary")
    return None if own is None else Vocabulary.from_json(own)


def without_candidates(graph: SceneGraph) -> SceneGraph:
    """Return the graph without objects that were found and are in no relation.

    DIDM proposes objects on every frame; the exports are for annotations, as those of
    a session, in which a proposal counts when it is accepted.
    """
    related = {i for r in graph.relations for i in (r.subject_id, r.object_id)}
    objects = tuple(
        track
        for track in graph.objects
        if track.prompted_by is None or track.object_id in related
    )
    return dataclasses.replace(graph, objects=objects)


def name_others(graph: SceneGraph) -> SceneGraph:
    """Return the graph with "others", a thing of OpenPVSG, for objects without name."""
    objects = tuple(
        dataclasses.replace(track, category=OTHERS)
        if track.category == UNKNOWN
        else track
        for track in graph.objects
    )
    return dataclasses.replace(graph, objects=objects)


def check_new_folder(job: Job) -> None:
    """Raise InputError where an earlier run's OpenPVSG folder is in the way."""
    place = job.output / OPEN_PVSG
    if "open_pvsg" in job.formats and place.exists():
        raise InputError(f"{place} exists already: move it away, or write elsewhere")


def done_before(job: Job) -> bool:
    """Whether a film of --videos has all its results already."""
    names = [name for name, form in FILES_OF.items() if form in job.formats]
    others = [job.output / name for name in ("overlay.mp4", *names)]
    return is_done(job.output / RESULTS[0], provenance(job, 0), others)


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
    own = vocabulary_of(job)
    names = {} if own is None else {"vocabulary": own.to_json()}
    heads = {}
    if job.heads is not None:
        name = job.heads.resolve().name
        heads = {"heads": {"name": name, "sha256": job.heads_manifest["sha256"]}}
    options = (IMAGE_SIZE, DTYPE, FPS, START, END, MAX_FRAMES)
    options += (DISCOVER_EVERY,)
    values = {flag.name: flag.value for flag in options}
    spans = {flag.name: getattr(job.spans, name) for name, flag in SPANS.items()}
    return {
        "program": f"click2graph-jax {__version__}",
        "checkpoint": checkpoint,
        **heads,
        **names,
        "size": job.size,
        "seed": SEED.value,
        "options": values | {"dtype": compute_dtype()} | spans,
        **({} if job.auto is None else {"auto": dataclasses.asdict(job.auto)}),
        "prompts": prompts_to_json(job.prompts, job.annotations.names),
        "dropped_tracks": dropped,
    }
