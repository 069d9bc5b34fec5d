"""The schema of pvsg.json, checked before use.

Mistakes of annotators (wrong ids, spans or words) do not violate the schema: `cleaning`
handles and counts them.
"""

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

_BOUND = 1 << 31  # the columns of the prepared set hold int32


@dataclass(frozen=True)
class Leaf:
    """A scalar value. expected: its description in error messages, after "not"."""

    fits: Callable[[Any], bool]
    expected: str


@dataclass(frozen=True)
class DictOf:
    """A dictionary with arbitrary keys."""

    key: Leaf
    value: Any


def _is_text(value: Any) -> bool:
    """Return whether it is text that UTF-8 can encode (no lone surrogates)."""
    return isinstance(value, str) and re.search("[\ud800-\udfff]", value) is None


def _is_name(value: Any) -> bool:
    """Return whether it is a non-empty name that fits in one line of a file."""
    return _is_text(value) and value.isprintable() and value.strip() == value != ""


def _is_number(value: Any) -> bool:
    return type(value) in (int, float) and abs(value) < _BOUND  # excludes bool


def _is_status(value: Any) -> bool:
    if not value:
        return value is None or isinstance(value, list | dict)
    return isinstance(value, dict) and all(
        _is_text(name) and isinstance(spans, list) for name, spans in value.items()
    )


TEXT = Leaf(_is_text, "text")
NAME = Leaf(_is_name, "a name")
WORD = Leaf(
    lambda v: isinstance(v, str) and bool(re.fullmatch(r"[A-Za-z0-9_]+", v)),
    "a name of letters, digits and _",
)
SPLIT = Leaf(
    lambda v: isinstance(v, str) and bool(re.fullmatch("[A-Za-z0-9]+", v)),
    "a name of letters and digits, such as train",
)
ID = Leaf(lambda v: type(v) is int, "a whole number")
COUNT = Leaf(lambda v: type(v) is int and 0 < v < _BOUND, "a whole number from 1")
NUMBER = Leaf(_is_number, "a number")
RATE = Leaf(lambda v: _is_number(v) and v > 0, "a number above 0")
FLAG = Leaf(lambda v: isinstance(v, bool), "true or false")
STATUS = Leaf(_is_status, "[] or {name: [[start, end], ...]}")
ANY = Leaf(lambda v: True, "")

# {...}: required keys; [x]: list of any number of x; (x, y): list of exactly x, y.
PVSG = {
    "objects": {"thing": [NAME], "stuff": [NAME]},
    "relations": [NAME],
    "split": DictOf(WORD, DictOf(SPLIT, [TEXT])),
    "data": [
        {
            "video_id": TEXT,
            "meta": {
                "height": COUNT,
                "width": COUNT,
                "fps": RATE,
                "duration": NUMBER,
                "num_frames": COUNT,
            },
            "objects": [
                {"object_id": ID, "category": TEXT, "is_thing": FLAG, "status": STATUS}
            ],
            "relations": [(ID, ID, TEXT, [ANY])],
            "captions": [{"time": TEXT, "description": TEXT}],
            "qa_pairs": [{"time": TEXT, "question": TEXT, "answer": TEXT}],
            "summary": TEXT,
        }
    ],
}


def violations(value: Any, form: Any = PVSG, place: str = "it") -> Iterator[str]:
    """Yield violations of the schema as "PLACE is VALUE, not EXPECTED"."""
    if isinstance(form, Leaf):
        if not form.fits(value):
            yield f"{place} is {_short(value)}, not {form.expected}"
        return
    kind = dict if isinstance(form, dict | DictOf) else list
    if not isinstance(value, kind):
        expected = "a dictionary" if kind is dict else "a list"
        yield f"{place} is {_short(value)}, not {expected}"
        return
    if isinstance(form, tuple) and len(value) != len(form):
        yield f"{place} is {_short(value)}, not a list of {len(form)}"
        return
    at = "" if place == "it" else place
    if isinstance(form, dict):
        for key, part in form.items():
            if key not in value:
                yield f"{place} has no {key}"
            else:
                yield from violations(value[key], part, f"{at}.{key}".lstrip("."))
    elif isinstance(form, DictOf):
        for key, part in value.items():
            yield from violations(key, form.key, f"a key of {place}")
            yield from violations(part, form.value, f"{at}.{key}".lstrip("."))
    else:
        for i, part in enumerate(value):
            inner = form[i] if isinstance(form, tuple) else form[0]
            yield from violations(part, inner, f"{at}[{i}]")


def _short(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
