"""The forms in which a session shows what it knows, and the same as JSON."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

# What a graph is exported as: kind -> suffix and media type of the file. "open_pvsg" is
# a folder, which the page packs.
EXPORTS = {
    "scene_graph": ("json", "application/json"),
    "open_pvsg": ("zip", "application/zip"),
    "coco": ("json", "application/json"),
    "graphml": ("graphml", "application/xml"),
    "csv": ("csv", "text/csv"),
    "overlay": ("mp4", "video/mp4"),
}
FOLDERS = ("open_pvsg",)  # of these, those that are folders


@dataclass(frozen=True)
class PromptView:
    """kind: "point", with x, y and label 1 or 0; "box", with x1, y1, x2, y2; "mask"."""

    kind: str
    x: float | None = None
    y: float | None = None
    label: int | None = None
    box: tuple[float, float, float, float] | None = None


@dataclass(frozen=True)
class ObjectView:
    """One object on one frame.

    score: how sure the category is, 1 where a person fixed it. rle: COCO, at the
    video's size, None where the object is not seen.
    """

    object_id: int
    role: str  # "subject" or "object"
    subject_ids: tuple[int, ...]
    category: str
    fixed: bool
    score: float
    rle: Mapping | None
    prompts: tuple[PromptView, ...]


@dataclass(frozen=True)
class RelationView:
    """What holds between two objects on a frame; fixed where a person said so."""

    subject_id: int
    object_id: int
    predicate: str
    confidence: float
    fixed: bool


@dataclass(frozen=True)
class FrameView:
    """One frame. tracked: tracking has been here. stale: since then something was said
    that tracking it anew would take up."""

    frame: int
    objects: tuple[ObjectView, ...]
    relations: tuple[RelationView, ...]
    tracked: bool
    stale: bool


@dataclass(frozen=True)
class ObjectSummary:
    """One object over the whole clip. lanes: spans (first, last) of frames in view;
    prompted: frames with prompts."""

    object_id: int
    role: str
    subject_ids: tuple[int, ...]
    category: str
    fixed: bool
    score: float
    lanes: tuple[tuple[int, int], ...]
    prompted: tuple[int, ...]


@dataclass(frozen=True)
class RelationSummary:
    """A relation over the whole clip: inclusive spans of frames in which it holds."""

    subject_id: int
    object_id: int
    predicate: str
    spans: tuple[tuple[int, int], ...]
    score: float
    fixed: bool


@dataclass(frozen=True)
class TrackUpdate:
    """A frame that tracking has done; `done` of `total` are behind it."""

    frame: int
    done: int
    total: int
    view: FrameView


def as_json(value: Any) -> Any:
    """Views as dicts, lists, strings and numbers."""
    if dataclasses.is_dataclass(value):
        names = (f.name for f in dataclasses.fields(value))
        return {name: as_json(getattr(value, name)) for name in names}
    if isinstance(value, Mapping):
        return {str(k): as_json(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [as_json(v) for v in value]
    if isinstance(value, np.generic):
        return value.item()
    return value
