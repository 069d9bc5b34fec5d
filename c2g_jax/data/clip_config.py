"""The settings of a clip: its task, its shape, and how it is augmented."""

from dataclasses import dataclass, replace

import numpy as np

from c2g_jax.data import prompts, sampling
from c2g_jax.data.records import VideoRecord
from c2g_jax.types import InputError

STARTS = {"relations": sampling.relation_starts, "segments": sampling.segment_starts}
TASKS = tuple(STARTS)


@dataclass(frozen=True)
class ClipConfig:
    """Settings of clips. max_objects: per subject, or per clip for "segments"."""

    task: str = "relations"
    num_frames: int = 8
    stride: int = 1  # frames of the video per frame of the clip
    image_size: int = 1024
    max_subjects: int = 3
    max_objects: int | None = None  # None: 8 for "relations", 3 for "segments"
    bystanders: int = 0  # at most as many things beside a subject's objects, unrelated
    thing_weight: float = 2.0  # weight of things against stuff in drawing "segments"
    crop: float = 1.0  # side of a random crop, as a share of the frame; "segments" only
    crop_to: float = 0.0  # if above 0, the side is drawn from [crop, crop_to]
    pasted: int = 0  # at most as many things of another video; "segments" only
    prompt_mix: tuple[float, float, float] = prompts.TRAINING_MIX
    point_side: int | None = 128  # larger masks are subsampled before a point is drawn
    flip: float = 0.5  # probability of mirroring
    brightness: float = 0.1
    contrast: float = 0.03
    saturation: float = 0.03
    hue: float = 0.0  # largest rotation of colours, in half turns

    def __post_init__(self):
        if self.task not in TASKS:
            raise InputError(f"clip task {self.task!r}: use one of {', '.join(TASKS)}")
        mix = self.prompt_mix
        if len(mix) != len(prompts.KINDS) or min(mix) < 0 or not sum(mix) > 0:
            raise InputError(
                f"prompt_mix {tuple(mix)}: give three shares, of point, box and mask"
            )
        if self.max_objects is None:
            object.__setattr__(
                self, "max_objects", 8 if self.task == "relations" else 3
            )
        for name in ("num_frames", "stride", "image_size", "max_subjects",
                     "max_objects", "point_side"):  # fmt: skip
            if (value := getattr(self, name)) is not None and value < 1:
                raise InputError(f"{name} {value} of a clip: give at least 1")
        for name in ("flip", "brightness", "contrast", "saturation", "hue"):
            if not 0 <= (value := getattr(self, name)) <= 1:
                raise InputError(f"{name} {value} of a clip: give a share, 0 to 1")
        if not 0 < self.crop <= 1 or (self.crop < 1 and self.task != "segments"):
            raise InputError(
                f"crop {self.crop} of a clip of {self.task}: give a share of the frame,"
                " above 0 and up to 1, and 1 to relations"
            )
        if self.crop_to and not self.crop <= self.crop_to <= 1:
            raise InputError(
                f"crop_to {self.crop_to} of a clip: give a share of the frame, from "
                f"crop ({self.crop}) to 1"
            )
        if self.bystanders < 0 or (self.bystanders and self.task != "relations"):
            raise InputError(
                f"bystanders {self.bystanders} of a clip of {self.task}: give 0 or "
                "more, and 0 to segments"
            )
        if self.pasted < 0 or (self.pasted and self.task != "segments"):
            raise InputError(
                f"pasted {self.pasted} of a clip of {self.task}: give 0 or more, and 0 "
                "to relations"
            )
        if not 0 <= self.thing_weight < np.inf:
            raise InputError(f"thing_weight {self.thing_weight}: give 0 or more")

    @property
    def object_slots(self) -> int:
        """The size of the axis of a subject's objects, O of `data.clips`."""
        return self.max_objects + self.bystanders

    def still(self) -> "ClipConfig":
        """Return the settings without augmentation; a crop stays."""
        return replace(
            self, pasted=0, flip=0, brightness=0, contrast=0, saturation=0, hue=0
        )

    def starts(self, video: VideoRecord) -> np.ndarray:
        """Return the frames at which a clip of the video can start: int32 [k]."""
        return STARTS[self.task](video, self.num_frames, self.stride)
