"""Convert session states to rows of JSON values and back, with the parts they share.

A part that several states share is written once, by identity: a hundred states of undo
cost little more than one.
"""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from c2g_jax.media.rle import check_code
from c2g_jax.session.moments import moments_of
from c2g_jax.session.session_state import SessionState
from c2g_jax.session.state_parts import (
    DrawnRelation,
    FramePrompts,
    FrameRecord,
    Observation,
    PredicateFix,
    PromptItem,
    TrackedObject,
)
from c2g_jax.tracking.object_tracks import OpenTrack
from c2g_jax.tracking.spans import Spans
from c2g_jax.vocabulary import Vocabulary


class StateRows:
    """Rows by kind; a part is referred to by the number of its row."""

    def __init__(self):
        self.rows: dict[str, list] = {}
        self.observations: list[Observation] = []
        self._numbers: dict[int, int] = {}
        self._parts: list = []  # kept alive, so that their ids stay unique

    def _number(self, kind: str, part: Any, encode: Callable[[Any], Any]) -> int:
        if id(part) not in self._numbers:
            row = encode(part)
            rows = self.rows.setdefault(kind, [])
            rows.append(row)
            self._numbers[id(part)] = len(rows) - 1
            self._parts.append(part)
        return self._numbers[id(part)]

    def state(self, state: SessionState) -> int:
        """Add a state and return the number of its row."""
        return self._number("states", state, self._state)

    def _state(self, state: SessionState) -> dict:
        return {
            "things": [
                self._number("things", t, self._object) for t in state.objects.values()
            ],
            "notes": self._number("note_maps", state.records, self._records),
            "fixes": [list(dataclasses.astuple(fix)) for fix in state.fixes],
            "next_id": state.next_id,
            "revision": state.revision,
            "drawn": [_drawn_row(relation) for relation in state.drawn],
            "dismissed": [list(triple) for triple in state.dismissed],
            "same": [list(pair) for pair in state.same],
            "vocabulary": None
            if state.vocabulary is None
            else self._number(
                "vocabularies", state.vocabulary, lambda names: names.to_json()
            ),
        }

    def _object(self, obj: TrackedObject) -> dict:
        return {
            "id": obj.object_id,
            "role": obj.role,
            "leader": obj.subject_id,
            "prompts": self._number("prompt_maps", obj.prompts, self._prompts),
            "observations": self._number(
                "observation_maps", obj.observations, self._observations
            ),
            "changes": [list(change) for change in obj.changes],
            "category": obj.category,
            "removed": obj.removed,
            "accepted": obj.accepted,
            "presence": None if obj.presence is None else _lists(obj.presence),
        }

    def _prompts(self, prompts: Mapping[int, FramePrompts]) -> list:
        return [
            [t, self._number("prompts", given, self._frame_prompts)]
            for t, given in prompts.items()
        ]

    def _frame_prompts(self, prompts: FramePrompts) -> dict:
        base = prompts.base and self._observation(prompts.base)
        return {"items": [dataclasses.asdict(i) for i in prompts.items], "base": base}

    def _observations(self, found: Mapping[int, Observation]) -> list:
        return [[t, self._observation(o)] for t, o in found.items()]

    def _observation(self, observation: Observation) -> int:
        def encode(o: Observation) -> dict:
            self.observations.append(o)
            mask = None if o.mask is None else o.mask["counts"]
            return [mask, o.iou, o.object_score, o.direction, o.revision]

        return self._number("observations", observation, encode)

    def _records(self, records: Mapping[int, FrameRecord]) -> list:
        return [[t, self._number("notes", n, self._record)] for t, n in records.items()]

    def _record(self, record: FrameRecord) -> dict:
        return {
            "made": record.revision,
            "direction": record.direction,
            "tracks": [list(dataclasses.astuple(t)) for t in record.tracks],
            "met": [[i, list(linked)] for i, linked in record.linked.items()],
            "pairs": [list(pair) for pair in record.pairs],
            "points": [[i, p.tolist()] for i, p in record.points.items()],
            "merged": [list(pair) for pair in record.merged.items()],
            "dropped": record.dropped,
        }


def read_states(
    rows: Mapping[str, list],
    features: np.ndarray,
    pointers: np.ndarray,
    moments: np.ndarray | None,
    size: list[int],
) -> tuple[list[SessionState], list[Observation]]:
    """Return the states and observations of `StateRows`.

    `features` and `pointers` [n, c] and `moments` [n, 5] are those of the observations,
    None for the moments of their masks. `size` is [H, W]. Raises KeyError and the like
    for rows that are damaged.
    """
    written = rows.get("observations", [])
    masks = [
        None if counts is None else _mask({"size": list(size), "counts": counts})
        for counts, *_ in written
    ]
    if moments is None:
        moments = [moments_of(mask) for mask in masks]
    observations = [
        Observation(mask, iou, score, feature, pointer, at, direction, made)
        for (_, iou, score, direction, made), mask, feature, pointer, at in zip(
            written, masks, features, pointers, moments, strict=True
        )
    ]
    frame_prompts = [
        FramePrompts(
            tuple(_item(item) for item in row["items"]),
            None if row["base"] is None else observations[row["base"]],
        )
        for row in rows.get("prompts", [])
    ]
    records = [_record(row) for row in rows.get("notes", [])]

    def maps(kind: str, parts: list) -> list[dict]:
        return [{t: parts[i] for t, i in row} for row in rows.get(kind, [])]

    prompt_maps = maps("prompt_maps", frame_prompts)
    observation_maps = maps("observation_maps", observations)
    note_maps = maps("note_maps", records)
    vocabularies = [Vocabulary.from_json(row) for row in rows.get("vocabularies", [])]
    objects = [
        TrackedObject(
            row["id"],
            row["role"],
            row["leader"],
            prompt_maps[row["prompts"]],
            observation_maps[row["observations"]],
            tuple(tuple(change) for change in row["changes"]),
            row["category"],
            row["removed"],
            row.get("accepted", False),
            _spans(row.get("presence")),
        )
        for row in rows.get("things", [])
    ]
    states = [
        SessionState(
            {objects[i].object_id: objects[i] for i in row["things"]},
            note_maps[row["notes"]],
            tuple(PredicateFix(*fix) for fix in row["fixes"]),
            row["next_id"],
            row["revision"],
            tuple(_drawn(relation) for relation in row.get("drawn", ())),
            tuple(tuple(triple) for triple in row.get("dismissed", ())),
            tuple(tuple(pair) for pair in row.get("same", ())),
            None if row.get("vocabulary") is None else vocabularies[row["vocabulary"]],
        )
        for row in rows["states"]
    ]
    return states, observations


def _lists(spans: Spans) -> list[list[int]]:
    return [list(span) for span in spans]


def _spans(rows: list | None) -> Spans | None:
    return None if rows is None else tuple((int(a), int(b)) for a, b in rows)


def _drawn_row(relation: DrawnRelation) -> list:
    return [*relation.triple, _lists(relation.spans)]


def _drawn(row: list) -> DrawnRelation:
    subject_id, object_id, predicate, spans = row
    return DrawnRelation(subject_id, object_id, predicate, _spans(spans))


def _item(row: dict) -> PromptItem:
    point, box = row["point"], row["box"]
    return PromptItem(
        row["kind"],
        None if point is None else tuple(point),
        row["positive"],
        None if box is None else tuple(box),
        None if row["mask"] is None else _mask(row["mask"]),
    )


def _mask(code: dict) -> dict:
    """Return an RLE; ValueError unless it is valid, as pycocotools does not check."""
    check_code(code)
    return code


def _record(row: dict) -> FrameRecord:
    return FrameRecord(
        row["made"],
        row["direction"],
        tuple(OpenTrack(*track) for track in row["tracks"]),
        {i: tuple(linked) for i, linked in row["met"]},
        tuple(tuple(pair) for pair in row["pairs"]),
        {i: np.array(p, np.float32).reshape(-1, 2) for i, p in row["points"]},
        dict(row["merged"]),
        row["dropped"],
    )
