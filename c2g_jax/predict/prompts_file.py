"""Prompts in a JSON file, and numbers in flags.

    {"prompts": [
      {"frame": 0, "object": 1, "points": [[310, 220], [40, 50]], "labels": [1, 0]},
      {"frame": 0, "object": 2, "box": [20, 30, 180, 240]},
      {"frame": 12, "object": 3, "mask": "cup.png", "name": "cup"}],
     "relations": [[1, 3, "holding", [[4, 20], [31, 40]]]]}

Coordinates are (x, y) pixels of the video. `frame` counts sampled frames from zero.
`object` is the object's id (1 or more); a prompt of the same object on another frame
corrects it. Without `labels` all points are positive. `mask` is a COCO RLE, or the path
of an image relative to the JSON file, read by `media.masks`; `mask_id` is the object's
id in an image of several ids. `name` is the object's category, for whatever the model
would name it. `relations` have the form of scene_graph.json: subject, object,
predicate, and inclusive spans of sampled frames.
"""

import json
import math
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from c2g_jax.media.masks import read_mask
from c2g_jax.media.rle import check_code, decode_mask, encode_mask
from c2g_jax.tracking.spans import check_spans
from c2g_jax.types import InputError, Prompt, Relation

_KEYS = ("frame", "object", "points", "labels", "box", "mask", "mask_id", "name")


@dataclass(frozen=True)
class Annotations:
    """What a person says of the objects: categories by id, and relations (score 1)."""

    names: Mapping[int, str] = field(default_factory=dict)
    relations: Sequence[Relation] = ()


NOTHING_SAID = Annotations()


def read_prompts(path: str | Path) -> list[Prompt]:
    """Read the prompts of a file; raises InputError, which names the bad entry."""
    return read_annotated_prompts(path)[0]


def read_annotated_prompts(path: str | Path) -> tuple[list[Prompt], Annotations]:
    """Do the same, with the names and relations that the file gives the objects."""
    path = Path(path)
    try:
        entries = json.loads(path.read_text(encoding="utf-8-sig"))
    except FileNotFoundError:
        raise InputError(
            f"{path}: no such prompts file: check the path (with --videos each film "
            "has a file of its name)"
        ) from None
    except OSError as error:
        raise InputError(
            f"{path}: not readable ({error.strerror}): give a JSON file"
        ) from None
    except ValueError as error:
        raise InputError(f"{path}: not JSON ({error}): fix it there") from None
    except RecursionError:
        raise InputError(f"{path}: nested too deep: write a list of prompts") from None
    relations = []
    if isinstance(entries, dict):
        relations = entries.get("relations", [])
        entries = entries.get("prompts")
    if not isinstance(entries, list) or not entries:
        raise InputError(f'{path}: holds no prompts: write {{"prompts": [...]}}')
    prompts = [_prompt(path, i, entry) for i, entry in enumerate(entries)]
    known = set()
    for prompt in prompts:
        key = prompt.frame, prompt.object_id
        if key in known:
            raise InputError(f"{path}: {prompt} is given twice: merge the two")
        known.add(key)
    names = _names(path, prompts, entries)
    if not isinstance(relations, list):
        raise InputError(f"{path}: 'relations' must be a list: write [...]")
    ids = {prompt.object_id for prompt in prompts}
    told = tuple(_relation(path, i, row, ids) for i, row in enumerate(relations))
    return prompts, Annotations(names, told)


def _names(path, prompts, entries) -> dict[int, str]:
    """Return the names of the objects, by their ids."""
    names = {}
    for i, (prompt, entry) in enumerate(zip(prompts, entries, strict=True)):
        name = entry.get("name")
        if name is None:
            continue
        known = names.setdefault(prompt.object_id, name)
        if not isinstance(name, str) or not name.strip() or known != name:
            raise InputError(
                f"{path}: prompt {i}: 'name' must be a text, the same in all prompts "
                f"of object {prompt.object_id}"
            )
    return names


def _relation(path, position, row, ids) -> Relation:
    place = f"{path}: relation {position}"
    form = '[subject, object, "predicate", [[start, end], ...]]'
    if not isinstance(row, list) or len(row) != 4 or not isinstance(row[2], str):
        raise InputError(f"{place} is not of the form {form}: write it so")
    subject_id, object_id, predicate, spans = row
    for i in (subject_id, object_id):
        if type(i) is not int or i not in ids:
            raise InputError(f"{place}: no prompt has the object {i!r}: add one")
    if subject_id == object_id or not predicate.strip():
        raise InputError(f"{place} is not of two objects and a predicate: {form}")
    spans = check_spans(spans, None, place, some=True)
    return Relation(subject_id, object_id, predicate, spans, 1.0)


def numbers(flag: str, text: str, form: str) -> list[float]:
    """Parse a flag of the form `form`, e.g. "x,y", with finite numbers; InputError."""
    try:
        values = [float(word) for word in text.split(",")]
    except ValueError:
        values = []
    if len(values) != len(form.split(",")) or not all(map(math.isfinite, values)):
        raise InputError(f"--{flag}={text}: write --{flag}={form} in pixels")
    return values


def prompts_to_json(
    prompts: Iterable[Prompt], names: Mapping[int, str] | None = None
) -> list[dict]:
    """Return the prompts as entries of a prompts file, masks as RLE."""
    entries, names = [], names or {}
    for prompt in prompts:
        entry = {"frame": prompt.frame, "object": prompt.object_id}
        if prompt.object_id in names:
            entry["name"] = names[prompt.object_id]
        if len(prompt.points):
            entry["points"] = prompt.points.tolist()
            entry["labels"] = prompt.labels.tolist()
        if prompt.box is not None:
            entry["box"] = prompt.box.tolist()
        if prompt.mask is not None:
            entry["mask"] = encode_mask(prompt.mask)
        entries.append(entry)
    return entries


def _prompt(path, position, entry):
    place = f"{path}: prompt {position}"
    if not isinstance(entry, dict):
        raise InputError(f"{place} is not an object: write {{...}} with {_KEYS[0]!r}")
    unknown = sorted(set(entry) - set(_KEYS))
    if unknown:
        raise InputError(f"{place} has the key {unknown[0]!r}: use {', '.join(_KEYS)}")
    for key, least in (("frame", 0), ("object", 1)):
        value = entry.get(key)
        if type(value) is not int or value < least:
            raise InputError(
                f"{place}: {key!r} must be a whole number, {least} or more"
            )
    points = _numbers(place, "points", entry.get("points"), (-1, 2))
    box = _numbers(place, "box", entry.get("box"), (4,))
    labels = _numbers(place, "labels", entry.get("labels"), (-1,))
    mask, mask_id = entry.get("mask"), entry.get("mask_id")
    if mask_id is not None and not (type(mask_id) is int and isinstance(mask, str)):
        raise InputError(f"{place}: 'mask_id' must be a number, beside an image 'mask'")
    try:
        if isinstance(mask, str):
            mask = read_mask(path.parent / os.path.expanduser(mask), mask_id)
        elif mask is not None:
            check_code(mask)
            mask = decode_mask(mask)
        points = np.zeros((0, 2)) if points is None else points
        return Prompt(entry["frame"], entry["object"], points, labels, box, mask)
    except InputError as error:
        raise InputError(f"{place}: {error}") from None
    except (AttributeError, TypeError, KeyError, ValueError):
        raise InputError(
            f"{place}: 'mask' must be an image file or a COCO RLE"
        ) from None


def _numbers(place, key, value, shape):
    if value is None:
        return None
    try:
        array = np.array(value)
        # No strings or booleans; an empty list is float.
        if array.ndim != len(shape) or array.dtype.kind not in "iuf":
            raise ValueError
        return array.astype(np.float64).reshape(shape)
    except (TypeError, ValueError, OverflowError):
        form = {"points": "[[x, y], ...]", "box": "[x0, y0, x1, y1]"}
        form = form.get(key, "[1, 0, ...]")
        raise InputError(f"{place}: {key!r} must be {form}") from None
