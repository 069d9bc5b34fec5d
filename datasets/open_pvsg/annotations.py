"""What pvsg.json says of the videos, cleaned. `pvsg_json` reads it.

Spans are inclusive and count frames from 0; objects are found by id.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from .quirks import Exclusion, Finding


@dataclass(frozen=True)
class Object:
    object_id: int
    category: str
    is_thing: bool


@dataclass(frozen=True)
class Span:
    """A relation that holds on the frames start to end, both included."""

    subject_id: int
    object_id: int
    predicate: str
    start: int
    end: int


@dataclass(frozen=True)
class Status:
    """A state that an object is in on the frames start to end, both included."""

    object_id: int
    name: str
    start: int
    end: int


@dataclass(frozen=True)
class Video:
    """The cleaned annotations of a video, and what stood there before (num_...)."""

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
    num_objects: int  # as annotated, before any was dropped
    predicates: Counter = field(hash=False)  # records as annotated, by predicate
    num_spans: int = 0

    @property
    def split_name(self) -> str:
        return f"{self.source}_{self.split}"

    @property
    def num_relations(self) -> int:
        """Relation records as annotated."""
        return self.predicates.total()


@dataclass(frozen=True)
class Annotations:
    """A pvsg.json: names in the order of their indices, videos in that of the lists."""

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
