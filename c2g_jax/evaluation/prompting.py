"""The prompts of a run, drawn from the true mask of the subject."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from c2g_jax.data.prompts import (
    KINDS,
    evaluation_points,
    interior_point,
    mask_box,
    noisy_box,
    stable_seed,
)
from c2g_jax.data.records import VideoRecord
from c2g_jax.evaluation.protocol import (
    ANYWHERE,
    Protocol,
    SubjectTruth,
    VideoTruth,
    prompt_frame,
)
from c2g_jax.types import InputError, Prompt

Part = tuple[str, str]  # a system, and the kind of prompt that it is given


@dataclass(frozen=True, eq=False)
class Trial:
    """One subject, prompted once: what is followed and scored by itself."""

    system: str
    kind: str  # of prompt
    run: int
    frame: int  # of the prompt
    truth: SubjectTruth  # of the whole video

    @property
    def part(self) -> Part:
        return self.system, self.kind


def runs_of_parts(
    systems: Sequence[str],
    kinds: Sequence[str],
    runs: Mapping[Part, int] | None,
    protocol: Protocol,
) -> dict[Part, int]:
    """How many runs each system has with each kind of prompt, where it has any.

    `runs` names the parts that are wanted; without it all are, with as many runs as the
    protocol has, but one with masks: there is no chance in those.
    """
    for kind in kinds:
        if kind not in KINDS:
            raise InputError(f"no kind of prompt {kind!r}: use {', '.join(KINDS)}")
    parts = [(system, kind) for system in systems for kind in kinds]
    if runs is None:
        return {part: 1 if part[1] == "mask" else protocol.runs for part in parts}
    return {part: runs[part] for part in parts if part in runs}


def trials_of(
    video: VideoRecord,
    truth: VideoTruth,
    runs: Mapping[Part, int],
    protocol: Protocol,
) -> list[Trial]:
    """All trials on a video: every run of every part for every subject."""
    return [
        Trial(*part, run, prompt_frame(video, own, run, protocol), own)
        for part, count in runs.items()
        for own in truth.subjects
        for run in range(count)
    ]


def draw_prompt(
    trial: Trial,
    object_id: int,
    video_id: str,
    segments: np.ndarray,
    image_size: int,
    protocol: Protocol,
) -> Prompt:
    """The prompt of a trial, for an object by that id; segments uint8 [H, W] of ids.

    It depends on video, subject, run and kind of prompt alone: all systems are given
    the same. Corners of boxes are moved by pixels of the model image, as in training.
    """
    subject = trial.truth.subject_id
    mask = segments == subject
    if trial.kind == "mask":
        return Prompt(trial.frame, object_id, mask=mask)
    if trial.kind == "point" and protocol.click == ANYWHERE:
        points = evaluation_points(mask, video_id, subject, trial.run + 1)
        return Prompt(trial.frame, object_id, points=points[-1:])
    seed = stable_seed(video_id, subject, trial.run, trial.kind)
    rng = np.random.default_rng(seed)
    if trial.kind == "point":
        return Prompt(trial.frame, object_id, points=interior_point(mask, rng)[None])
    height, width = mask.shape
    scale = image_size / np.array([width, height] * 2, np.float32)
    box = noisy_box(
        mask_box(mask) * scale,
        (image_size, image_size),
        rng,
        protocol.box_noise,
        protocol.box_bound,
    )
    return Prompt(trial.frame, object_id, box=box / scale)
