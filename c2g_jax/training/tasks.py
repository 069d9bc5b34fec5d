"""Build what the loop needs from a configuration: the task, its clips, its export.

The only place where a ConfigDict becomes the library's dataclasses.
"""

import dataclasses
import logging
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import jax
import numpy as np
from flax import nnx

from c2g_jax.checkpoints.heads import begin_with_heads, save_click2graph_and_heads
from c2g_jax.checkpoints.pretrained import (
    abstract_click2graph,
    check_size,
    find_checkpoint,
    load_sam2,
    save_sam2,
    with_seeded_heads,
)
from c2g_jax.checkpoints.safetensors import read_manifest
from c2g_jax.click2graph.model import click2graph_config
from c2g_jax.click2graph.prior import read_prior
from c2g_jax.click2graph.task import Click2GraphTask
from c2g_jax.data.clip_config import ClipConfig
from c2g_jax.data.dataset import Dataset, open_dataset
from c2g_jax.data.loader import ClipLoader, clip_loader
from c2g_jax.data.records import VideoRecord
from c2g_jax.data.sampling import hold_out
from c2g_jax.from_scratch.didm import FromScratchDidmConfig, didm_config
from c2g_jax.from_scratch.relation_loss import FromScratchRelationLoss
from c2g_jax.from_scratch.sch import FromScratchSchConfig, sch_config
from c2g_jax.sam2.config import sam2_config
from c2g_jax.sam2.model import Sam2
from c2g_jax.training.loop import LoopConfig
from c2g_jax.training.optim import Group, OptimConfig
from c2g_jax.training.segmenter.initialisation import seeded_sam2
from c2g_jax.training.segmenter.loss import SegmentLoss
from c2g_jax.training.segmenter.recipe import Recipe
from c2g_jax.training.segmenter.task import segmenter_task
from c2g_jax.training.state import Task
from c2g_jax.types import InputError
from c2g_jax.vocabulary import Vocabulary

SEGMENTER, CLICK2GRAPH = "segmenter", "click2graph"
_CLIPS = {SEGMENTER: "segments", CLICK2GRAPH: "relations"}
T = TypeVar("T")


@dataclasses.dataclass(frozen=True)
class PreparedTask:
    """A task with its loaders, and the function that exports its model."""

    task: Task
    loader: ClipLoader
    eval_loader: ClipLoader
    export: Callable[[nnx.Module, Path, Mapping[str, Any]], None]


def prepare_task(config: Any, local_batch: int) -> PreparedTask:
    """Open the data and load the model; InputError for what does not exist."""
    if config.task not in _CLIPS:
        raise InputError(f"task {config.task!r}: use one of {', '.join(_CLIPS)}")
    dataset = open_dataset(config.data.dir, config.data.name, config.data.config)
    held_out = config.data.get("held_out", 0)
    training, _ = hold_out(dataset.videos(config.data.train), held_out)
    if config.task == CLICK2GRAPH and not config.sam2.checkpoint:
        logging.warning(
            "config.sam2.checkpoint is empty: the frozen SAM2.1 is randomly initialised"
        )
    sam2, counts = fill_sam2(config), predicate_counts(dataset, training)
    task = make_task(config, sam2, dataset.vocabulary, counts)
    export = save_sam2 if config.task == SEGMENTER else save_click2graph_and_heads
    shard = (jax.process_index(), jax.process_count())
    clips = clip_config(config, sam2.config.image_size)
    whole = dict(crop=clips.crop_to or clips.crop, crop_to=0.0)
    still = dataclasses.replace(clips.still(), **whole)
    args = (local_batch, config.seed)
    devices = jax.local_device_count()
    workers = config.data.workers * devices
    # By default none: a short validation is over before processes have started.
    for_validation = config.data.get("val_workers", 0) * devices
    return PreparedTask(
        task,
        clip_loader(dataset, config.data.train, clips, *args, workers, shard, training),
        clip_loader(dataset, config.data.val, still, *args, for_validation, shard),
        export,
    )


def fill_sam2(config: Any) -> Sam2:
    """Load the SAM2.1 of config.sam2.checkpoint; if empty, initialise one randomly."""
    size, side, dtype = config.sam2.size, config.sam2.image_size, config.sam2.dtype
    if config.sam2.checkpoint:
        folder = find_checkpoint(config.sam2.checkpoint)
        mend = "give --config.sam2.size={size}"
        check_size(read_manifest(folder), size, config.sam2.checkpoint, mend)
        return load_sam2(folder, size, side, dtype)
    return seeded_sam2(sam2_config(size, side, dtype), config.seed)


def make_task(
    config: Any, sam2: Sam2, vocabulary: Vocabulary, counts: np.ndarray | None
) -> Task:
    """Return the task of a configuration, which trains `sam2` or the heads around it.

    `counts` is as in `predicate_counts`.
    """
    if config.task == SEGMENTER:
        count = len(vocabulary.objects)
        loss = build(SegmentLoss, config.loss, "loss")
        recipe = build(Recipe, config.recipe, "recipe", loss=loss, num_classes=count)
        task = segmenter_task(sam2, recipe, config.train)
    else:
        task = click2graph_task(config, sam2, vocabulary, counts)
    if config.trainable:
        task = dataclasses.replace(task, trainable=tuple(config.trainable))
    return task


def clip_config(config: Any, image_size: int) -> ClipConfig:
    """Return the settings of a configuration's training clips."""
    kind = _CLIPS[config.task]
    return build(ClipConfig, config.clip, "clip", task=kind, image_size=image_size)


def click2graph_task(
    config: Any, sam2: Sam2, vocabulary: Vocabulary, counts: np.ndarray | None
) -> Click2GraphTask:
    """Return the task that trains DIDM and SCH around a SAM2.1."""
    check_fields(config.didm, FromScratchDidmConfig, "didm")
    check_fields(config.sch, FromScratchSchConfig, "sch")
    paper = click2graph_config(sam2.config, vocabulary)
    didm = didm_config(**{**dataclasses.asdict(paper.didm), **config.didm})
    sch = sch_config(**{**dataclasses.asdict(paper.sch), **config.sch})
    model = abstract_click2graph(dataclasses.replace(paper, didm=didm, sch=sch))
    model.sam2 = sam2
    model = with_seeded_heads(model, config.seed)
    if config.get("heads"):
        begin_with_heads(model, config.heads)
    if sch.prior:
        own = Path(config.data.dir) / config.data.name / "prior.json"
        prior = read_prior(config.get("prior") or own, vocabulary)
        model.sch.set_prior(prior.counts.whole_table(prior.weights))
    loss = build(FromScratchRelationLoss, config.loss, "loss")
    return Click2GraphTask(model, loss, counts)


def predicate_counts(dataset: Dataset, videos: Sequence[VideoRecord]) -> np.ndarray:
    """Count the frames of videos in which each predicate holds: float32 [p]."""
    counts = np.zeros(len(dataset.vocabulary.predicates), np.float32)
    for video in videos:
        _, _, predicates, starts, ends = video.relations.T
        np.add.at(counts, predicates, ends - starts + 1)
    return counts


def optim_config(config: Any) -> OptimConfig:
    """Return the optimizer's settings of a configuration."""
    groups = {}
    for name, pattern in config.groups.items():
        for field in ("lr", "schedule", "lr_end"):
            if name not in config[field]:
                raise InputError(f"config.{field} lacks the group {name!r}")
        groups[name] = Group(
            pattern, config.lr[name], config.schedule[name], config.lr_end[name]
        )
    names = {field.name for field in dataclasses.fields(OptimConfig)} - {"groups"}
    return OptimConfig(groups=groups, **{name: config[name] for name in names})


def loop_config(config: Any) -> LoopConfig:
    """Return the loop's settings of a configuration."""
    names = [field.name for field in dataclasses.fields(LoopConfig)]
    return LoopConfig(**{name: config[name] for name in names})


def build(kind: type[T], fields: Mapping[str, Any], where: str, **more: Any) -> T:
    """Make a dataclass from a section of a configuration and `more`.

    Raises InputError for unknown fields.
    """
    check_fields(fields, kind, where, more.keys())
    return kind(**{name: fields[name] for name in fields}, **more)


def check_fields(
    fields: Mapping[str, Any], kind: type, where: str, but: Collection[str] = ()
) -> None:
    """Raise InputError for fields that the dataclass lacks, or that are in `but`."""
    known = {field.name for field in dataclasses.fields(kind)} - set(but)
    if unknown := set(fields) - known:
        raise InputError(
            f"config.{where} has unknown fields {', '.join(sorted(unknown))}: use "
            f"{', '.join(sorted(known))}"
        )
