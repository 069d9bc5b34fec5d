"""Prompts in a JSON file, and numbers in flags.

    {"prompts": [
      {"frame": 0, "object": 1, "points": [[310, 220], [40, 50]], "labels": [1, 0]},
      {"frame": 0, "object": 2, "box": [20, 30, 180, 240]},
      {"frame": 12, "object": 3, "mask": "cup.png"}]}

Coordinates are (x, y) pixels of the video. `frame` counts sampled frames from zero.
`object` is the object's id (1 or more); a prompt of the same object on another frame
corrects it. Without `labels` all points are positive. `mask` is a COCO RLE, or the path
of an image relative to the JSON file, read by `media.masks`; `mask_id` is the object's
id in an image of several ids.
"""

import json
import math
import os
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from c2g_jax.media.masks import read_mask
from c2g_jax.media.rle import check_code, decode_mask, encode_mask
from c2g_jax.types import InputError, Prompt

_KEYS = ("frame", "object", "points", "labels", "box", "mask", "mask_id")


def read_prompts(path: str | Path) -> list[Prompt]:
    """Read the prompts of a file; raises InputError, which names the bad entry."""
    path = Path(path)
    try:
        entries = json.loads(path.read_text(encoding="utf-8-sig"))
    except FileNotFoundError:
        raise InputError(f"{path}: no such prompts file: check the path") from None
    except OSError as error:
        raise InputError(
            f"{path}: not readable ({error.strerror}): give a JSON file"
        ) from None
    except ValueError as error:
        raise InputError(f"{path}: not JSON ({error}): fix it there") from None
    except RecursionError:
        raise InputError(f"{path}: nested too deep: write a list of prompts") from None
    if isinstance(entries, dict):
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
    return prompts


def numbers(flag: str, text: str, form: str) -> list[float]:
    """Parse a flag of the form `form`, e.g. "x,y", with finite numbers; InputError."""
    try:
        values = [float(word) for word in text.split(",")]
    except ValueError:
        values = []
    if len(values) != len(form.split(",")) or not all(map(math.isfinite, values)):
        raise InputError(f"--{flag}={text}: write --{flag}={form} in pixels")
    return values


def prompts_to_json(prompts: Iterable[Prompt]) -> list[dict]:
    """Return the prompts as entries of a prompts file, masks as RLE."""
    entries = []
    for prompt in prompts:
        entry = {"frame": prompt.frame, "object": prompt.object_id}
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
