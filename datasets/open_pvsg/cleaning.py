"""Clean the pvsg.json entry of a video and record every quirk with its place."""

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .annotations import Object, Span, Status, Video
from .quirks import Finding

MAX_ID = 255  # mask pixels are bytes, and 0 is void
_TAG = re.compile(r"\([A-Za-z]+-\d+\)")  # "(baby-1)": a name instead of an id


@dataclass(frozen=True)
class Vocabulary:
    """Class and predicate names of a pvsg.json, in label order."""

    things: tuple[str, ...]
    stuff: tuple[str, ...]
    predicates: tuple[str, ...]


def clean_video(
    raw: Mapping, source: str, split: str, names: Vocabulary, findings: list[Finding]
) -> Video:
    """Clean an entry that has passed `schema`; append its quirks to findings."""
    meta, video_id = raw["meta"], raw["video_id"]
    num_frames = meta["num_frames"]

    def found(quirk: str, **place: Any) -> None:
        findings.append(Finding(quirk, video_id, place))

    if abs(meta["duration"] * meta["fps"] - num_frames) > 0.5:
        found(
            "frame_count_mismatch",
            num_frames=num_frames,
            stated=meta["duration"] * meta["fps"],
        )
    objects = tuple(_objects(raw["objects"], names, found))
    known = {o.object_id for o in objects}
    captions = _texts(raw["captions"], ("time", "description"), found)
    questions = _texts(raw["qa_pairs"], ("time", "question", "answer"), found)
    spans = tuple(_spans(raw["relations"], names, known, num_frames, found))
    _count_overlaps(spans, found)
    summary = raw["summary"]
    for tag in _TAG.findall(summary):
        found("unresolved_tag", tag=tag, text="summary")
    return Video(
        video_id=video_id,
        source=source,
        split=split,
        height=meta["height"],
        width=meta["width"],
        fps=float(meta["fps"]),
        num_frames=num_frames,
        objects=objects,
        spans=spans,
        captions=captions,
        questions=questions,
        status=tuple(_status(raw["objects"], known, num_frames, found)),
        summary=summary,
        num_objects=len(raw["objects"]),
        predicates=Counter(record[2] for record in raw["relations"]),
        num_spans=sum(len(record[3]) for record in raw["relations"]),
    )


def _objects(raw: Sequence[Mapping], names: Vocabulary, found) -> Iterator[Object]:
    if [o["object_id"] for o in raw] != list(range(1, len(raw) + 1)):
        found("ids_not_in_order")
    seen = set()
    for item in raw:
        object_id, category = item["object_id"], item["category"]
        if object_id in seen:
            found("duplicate_object_id", id=object_id)
        elif not 1 <= object_id <= MAX_ID:
            found("object_id_range", id=object_id)
        elif category not in names.things + names.stuff:
            found("unknown_category", id=object_id, category=category)
        else:
            is_thing = category in names.things
            if item["is_thing"] != is_thing:
                found("is_thing_mismatch", id=object_id, category=category)
            seen.add(object_id)
            yield Object(object_id, category, is_thing)


def _spans(
    raw, names: Vocabulary, known: set, num_frames: int, found
) -> Iterator[Span]:
    for subject_id, object_id, predicate, spans in raw:
        ids = [subject_id, object_id]
        keep = True
        if predicate not in names.predicates:
            found("unknown_predicate", ids=ids, predicate=predicate)
            keep = False
        if subject_id == object_id:
            found("self_relation", ids=ids, predicate=predicate)
            keep = False
        elif not set(ids) <= known:
            found("unknown_participant", ids=ids, predicate=predicate)
            keep = False
        for span in spans:
            clipped = _clip(
                span, num_frames, found, {"ids": ids, "predicate": predicate}
            )
            if keep and clipped:
                yield Span(subject_id, object_id, predicate, *clipped)


def _count_overlaps(spans: Sequence[Span], found) -> None:
    """Record each span that starts before another of the same triplet has ended."""
    ends: dict[tuple, int] = {}
    for span in sorted(spans, key=lambda s: (s.start, s.end)):
        kind = (span.subject_id, span.object_id, span.predicate)
        if span.start <= ends.get(kind, -1):
            ids, place = [span.subject_id, span.object_id], [span.start, span.end]
            found("overlapping_spans", ids=ids, predicate=span.predicate, span=place)
        ends[kind] = max(span.end, ends.get(kind, -1))


def _clip(ends: Any, num_frames: int, found, place: Mapping) -> tuple[int, int] | None:
    """Clip a span to the video; return None if nothing is left of it."""
    if (
        not isinstance(ends, list)
        or len(ends) != 2
        or not all(type(end) is int for end in ends)
        or not 0 <= ends[0] <= ends[1]
    ):
        found("span_malformed", span=ends, **place)
        return None
    if ends[1] >= num_frames:
        found("span_past_end", span=ends, num_frames=num_frames, **place)
    if ends[0] >= num_frames:
        found("span_outside", span=ends, num_frames=num_frames, **place)
        return None
    return ends[0], min(ends[1], num_frames - 1)


def _texts(raw, keys: tuple[str, ...], found) -> tuple[dict[str, str], ...]:
    rows = tuple({key: item[key] for key in keys} for item in raw)
    for row in rows:
        for key in keys:
            for tag in _TAG.findall(row[key]):
                found("unresolved_tag", tag=tag, text=key, time=row["time"])
    return rows


def _status(raw, known: set, num_frames: int, found) -> Iterator[Status]:
    """Yield cleaned states; `status` is empty or {name: [[start, end], ...]}."""
    for item in raw:
        status = item["status"] or {}
        if status:
            found("status_given", id=item["object_id"], names=sorted(status))
        for name, spans in status.items():
            for span in spans:
                clipped = _clip(
                    span,
                    num_frames,
                    found,
                    {"ids": [item["object_id"]], "status": name},
                )
                if clipped and item["object_id"] in known:
                    yield Status(item["object_id"], name, *clipped)
