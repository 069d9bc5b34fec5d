"""What requests hold: JSON objects, checked, without unknown keys."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

Number = Annotated[float, Field(allow_inf_nan=False)]
Index = Annotated[int, Field(ge=0, le=1 << 31)]
Name = Annotated[str, Field(max_length=100)]
Share = Annotated[float, Field(ge=0, le=1)]
Lane = Index | tuple[Index, Index, Name]
SpanList = Annotated[list[tuple[Index, Index]], Field(max_length=10_000)]


class RequestBody(BaseModel):
    """A JSON object without unknown keys."""

    model_config = ConfigDict(extra="forbid")


class Point(RequestBody):
    """A point on an object (positive) or off it; without object_id, a new subject."""

    kind: Literal["point"]
    frame: Index
    x: Number
    y: Number
    positive: bool = True
    object_id: Index | None = None


class Box(RequestBody):
    """A box around an object; without object_id, a new subject."""

    kind: Literal["box"]
    frame: Index
    x1: Number
    y1: Number
    x2: Number
    y2: Number
    object_id: Index | None = None


class ObjectPoint(RequestBody):
    """A point on an object that is related to a subject."""

    kind: Literal["object"]
    frame: Index
    x: Number
    y: Number
    subject_id: Index


class TrackOptions(RequestBody):
    """First and last frame of a tracking run, None for those of the video."""

    start: Index | None = None
    stop: Index | None = None
    direction: Literal["forward", "backward", "both"] = "forward"


class CategoryEdit(RequestBody):
    """A category for an object; None for the model's own prediction."""

    category: Annotated[str, Field(max_length=100)] | None
    new: Literal["thing", "stuff"] | None = None  # add it to the vocabulary


class RelationEdit(RequestBody):
    """The predicate between two objects over a span; None: they are not related."""

    subject_id: Index
    object_id: Index
    predicate: Annotated[str, Field(max_length=100)] | None
    start: Index | None = None
    stop: Index | None = None


class Place(RequestBody):
    """A point on a frame."""

    frame: Index
    x: Number
    y: Number


class Stroke(RequestBody):
    """A stroke of a brush; without object_id, a new subject."""

    frame: Index
    points: Annotated[list[tuple[Number, Number]], Field(min_length=1, max_length=5000)]
    radius: Number
    erase: bool = False
    object_id: Index | None = None


class NewRelation(RequestBody):
    """A relation drawn by hand."""

    subject_id: Index
    object_id: Index
    predicate: Name
    spans: SpanList | None = None
    new: bool = False


class SetSpans(RequestBody):
    """All spans of a lane."""

    action: Literal["set"]
    lane: Lane
    spans: SpanList | None


class AddSpan(RequestBody):
    """One more span; without an end, to that of the video."""

    action: Literal["add"]
    lane: Lane
    start: Index | None = None
    stop: Index | None = None


class MoveSpan(RequestBody):
    """Other ends of a span; an end that is left out stays."""

    action: Literal["move"]
    lane: Lane
    index: Index
    start: Index | None = None
    stop: Index | None = None


class SplitSpan(RequestBody):
    """Two spans of the one around a frame."""

    action: Literal["split"]
    lane: Lane
    frame: Index


class NumberedSpan(RequestBody):
    """A span to join with the next one, or to delete."""

    action: Literal["join", "delete"]
    lane: Lane
    index: Index


SpanEdit = Annotated[
    SetSpans | AddSpan | MoveSpan | SplitSpan | NumberedSpan,
    Field(discriminator="action"),
]


class Same(RequestBody):
    """The object that another one is."""

    same_as: Index


class CutAt(RequestBody):
    """The first frame of the new object."""

    at: Index


class PromoteAt(RequestBody):
    """The frame whose mask prompts the subject; by default its first."""

    at: Index | None = None


class Several(RequestBody):
    """Objects by their ids."""

    object_ids: Annotated[list[Index], Field(min_length=1, max_length=10_000)]


class Chosen(RequestBody):
    """A suggested object or relation, with the spans it has at a threshold."""

    lane: Lane
    threshold: Share | None = None


class Above(RequestBody):
    """The least confidence of what is accepted."""

    confidence: Share


class Guesses(RequestBody):
    """What becomes of guesses."""

    guesses: Literal["take", "suggest"]


class NewName(RequestBody):
    """A name for the vocabulary."""

    name: Name
    kind: Literal["thing", "stuff", "predicate"]


class VocabularyText(RequestBody):
    """The text of a vocabulary's file."""

    text: str | None
