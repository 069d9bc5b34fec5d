"""The types of a session's views, and their conversion to JSON."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

# Export formats of a graph: kind -> suffix and media type of the file. "open_pvsg" is a
# folder, which the page sends as a zip.
EXPORTS = {
    "scene_graph": ("json", "application/json"),
    "open_pvsg": ("zip", "application/zip"),
    "coco": ("json", "application/json"),
    "graphml": ("graphml", "application/xml"),
    "csv": ("csv", "text/csv"),
    "overlay": ("mp4", "video/mp4"),
}
FOLDERS = ("open_pvsg",)  # the formats that are folders

# The state of objects and relations. What is suggested is in no graph and no export
# until a person accepts it; it occurs in sessions opened with guesses="suggest".
ACCEPTED, SUGGESTED = "accepted", "suggested"


@dataclass(frozen=True)
class PromptView:
    """A prompt: "point" has x, y and label (1 on the object, 0 off it), "box" box."""

    kind: str
    x: float | None = None
    y: float | None = None
    label: int | None = None
    box: tuple[float, float, float, float] | None = None


@dataclass(frozen=True)
class ObjectView:
    """One object on one frame.

    score: confidence of the category, 1 if a person fixed it. rle: COCO RLE at the
    video's size, None if the object is not visible.
    """

    object_id: int
    role: str  # "subject" or "object"
    subject_ids: tuple[int, ...]
    category: str
    fixed: bool
    score: float
    rle: Mapping | None
    prompts: tuple[PromptView, ...]
    state: str = ACCEPTED


@dataclass(frozen=True)
class RelationView:
    """A relation of two objects on a frame; `fixed` if a person set it."""

    subject_id: int
    object_id: int
    predicate: str
    confidence: float
    fixed: bool
    state: str = ACCEPTED


@dataclass(frozen=True)
class FrameView:
    """One frame. tracked: it was tracked. stale: prompts changed since, so tracking it
    again would change it."""

    frame: int
    objects: tuple[ObjectView, ...]
    relations: tuple[RelationView, ...]
    tracked: bool
    stale: bool


@dataclass(frozen=True)
class ObjectSummary:
    """One object over the clip. lanes: spans (first, last) of frames where it is
    visible; prompted: frames with prompts."""

    object_id: int
    role: str
    subject_ids: tuple[int, ...]
    category: str
    fixed: bool
    score: float
    lanes: tuple[tuple[int, int], ...]
    prompted: tuple[int, ...]
    state: str = ACCEPTED


@dataclass(frozen=True)
class RelationSummary:
    """A relation over the clip, with the inclusive spans in which it holds."""

    subject_id: int
    object_id: int
    predicate: str
    spans: tuple[tuple[int, int], ...]
    score: float
    fixed: bool
    state: str = ACCEPTED


@dataclass(frozen=True)
class TrackUpdate:
    """A tracked frame; `done` of `total` frames are tracked."""

    frame: int
    done: int
    total: int
    view: FrameView


@dataclass(frozen=True)
class FindUpdate:
    """A step of finding everything; `done` of `total` frames are searched."""

    done: int
    total: int


def as_json(value: Any) -> Any:
    """Convert views to dicts, lists, strings and numbers."""
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
