"""Cleaned annotations of pvsg.json, as read by `pvsg_json`.

Spans are inclusive and zero-based, in frames; objects are referred to by object_id.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from .quirks import Exclusion, Finding


@dataclass(frozen=True)
class Object:
    """An annotated object of a video."""

    object_id: int
    category: str
    is_thing: bool


@dataclass(frozen=True)
class Span:
    """A relation that holds on the frames start to end, inclusive."""

    subject_id: int
    object_id: int
    predicate: str
    start: int
    end: int


@dataclass(frozen=True)
class Status:
    """A state of an object on the frames start to end, inclusive."""

    object_id: int
    name: str
    start: int
    end: int


@dataclass(frozen=True)
class Video:
    """Cleaned annotations of a video.

    num_objects, num_relations and num_spans are counts before cleaning.
    """

    video_id: str
    source: str
    split: str  # train or val
    height: int
    width: int
    fps: float
    num_frames: int
    objects: tuple[Object, ...]
    spans: tuple[Span, ...]
    captions: tuple[Mapping[str, str], ...]
    questions: tuple[Mapping[str, str], ...]
    status: tuple[Status, ...]
    summary: str
    num_objects: int  # as annotated
    predicates: Counter = field(hash=False)  # annotated records per predicate
    num_spans: int = 0

    @property
    def split_name(self) -> str:
        return f"{self.source}_{self.split}"

    @property
    def num_relations(self) -> int:
        """Number of annotated relation records."""
        return self.predicates.total()


@dataclass(frozen=True)
class Annotations:
    """Content of a pvsg.json: names in label order, videos in order of the splits."""

    path: Path
    sha256: str
    things: tuple[str, ...]
    stuff: tuple[str, ...]
    predicates: tuple[str, ...]
    sources: tuple[str, ...]
    videos: tuple[Video, ...]
    findings: tuple[Finding, ...]
    excluded: tuple[Exclusion, ...]

    @property
    def objects(self) -> tuple[str, ...]:
        return self.things + self.stuff
