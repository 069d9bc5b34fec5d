"""The form of a pvsg.json: what it must hold and of which kind, checked before use.

What an annotator may get wrong, an id, a span or a word, is no matter of form: that is
`cleaning`'s, which counts it.
"""

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

_BOUND = 1 << 31  # the columns of the prepared set hold int32


@dataclass(frozen=True)
class Leaf:
    """A value without parts. expected: what it must be, to follow "not"."""

    fits: Callable[[Any], bool]
    expected: str


@dataclass(frozen=True)
class DictOf:
    """A dictionary with keys of its own."""

    key: Leaf
    value: Any


def _is_text(value: Any) -> bool:
    """Whether it can be written as UTF-8, unlike the halves of a surrogate pair."""
    return isinstance(value, str) and re.search("[\ud800-\udfff]", value) is None


def _is_name(value: Any) -> bool:
    """Whether a line of a file can hold it and give it back."""
    return _is_text(value) and value.isprintable() and value.strip() == value != ""


def _is_number(value: Any) -> bool:
    return type(value) in (int, float) and abs(value) < _BOUND  # True is an int, too


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
COUNT = Leaf(lambda v: type(v) is int and 0 < v < _BOUND, "a whole number from 1 on")
NUMBER = Leaf(_is_number, "a number")
RATE = Leaf(lambda v: _is_number(v) and v > 0, "a number above 0")
FLAG = Leaf(lambda v: isinstance(v, bool), "true or false")
STATUS = Leaf(_is_status, "[] or {name: [[start, end], ...]}")
ANY = Leaf(lambda v: True, "")

# Of a dictionary the keys it must have, of [x] any number of x, of (x, y) just these.
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
    """What is not of the form, each as "PLACE is VALUE, not WORDS"."""
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
