"""The state dict of SAM2 within what a file holds: wrappers, prefixes, dtypes."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from c2g_jax.checkpoints.released.stored_tensor import DTYPES, StoredTensor
from c2g_jax.types import InputError

# Names under which trainings save the state of the model, best first.
WRAPPERS = (
    "model",
    "state_dict",
    "model_state_dict",
    "module",
    "net",
    "network",
    "weights",
    "params",
    "sam2",
    "ema",
    "ema_state_dict",
    "ema_model",
    "model_ema",
)
_NOT_WEIGHTS = ("optim", "sched", "scaler", "loss", "rng", "loops", "callbacks")
_ROOTS = ("image_encoder.", "vision_encoder.")  # official names, those of transformers
_WEIGHTS = ("weight", "bias")  # of a layer, at the ends of names
_RELEASED = "give the weights as released, not quantised"
# Names of tensors that only other models have, and what these are.
_OTHERS = {
    "SAM1 (Segment Anything, 2023)": (
        "image_encoder.patch_embed.",
        "image_encoder.blocks.",
        "vision_encoder.patch_embed.",
        "vision_encoder.layers.",
    ),
    "MobileSAM": ("image_encoder.layers.",),
    "SAM 3": ("detector.", "detector_model.", "tracker.", "tracker_model."),
}


def find_state(
    content: Any, source: str | Path
) -> tuple[dict[str, StoredTensor], list[str]]:
    """Return the state dict in what a file holds, and notes for the user.

    It is looked for under WRAPPERS, in each other too, else under any one name.
    InputError where there is none, or it is not of tensors alone.
    """
    found = list(_states(content))
    if not found:
        raise InputError(
            f"{source} holds no tensors: give a state dict, alone or under one of "
            f"{', '.join(WRAPPERS)}"
        )
    places = [place for place, _ in found]
    known = [place for place in places if set(place.split(".")) <= {*WRAPPERS, ""}]
    if len(found) > 1 and not known:
        raise InputError(
            f"{source} holds several state dicts, under {some(places)}: save one alone"
        )
    place, state = min(found, key=lambda row: _rank(row[0]))
    wrong = [str(name) for name, x in state.items() if not isinstance(x, StoredTensor)]
    if wrong:
        raise InputError(
            f"{source} holds non-tensors: {some(wrong)}: save the state dict alone"
        )
    unnamed = [str(name) for name in state if not isinstance(name, str)]
    if unnamed:
        raise InputError(
            f"{source} has tensor names that are not strings: {some(unnamed)}: save "
            "them under the names of the model's state dict"
        )
    left = [other for other in places if other != place]
    notes = [f"{source}: read {place}, not {some(left)}"] if left else []
    return dict(state), notes


def _states(content: Any, place: str = "") -> Iterator[tuple[str, Mapping]]:
    """Yield the mappings with tensors, and their place: keys joined by dots."""
    if not isinstance(content, Mapping):
        return
    inner = [
        row
        for name, value in content.items()
        if isinstance(name, str) and not name.lower().startswith(_NOT_WEIGHTS)
        for row in _states(value, f"{place}.{name}".removeprefix("."))
    ]
    named = [row for row in inner if row[0].rpartition(".")[2] in WRAPPERS]
    # Beside a wrapper, tensors are counters of the training.
    direct = any(isinstance(x, StoredTensor) for x in content.values())
    if direct and not named:
        yield place, content
    else:
        yield from inner


def _rank(place: str) -> tuple[int, ...]:
    """Return the order of a place among several: its names' in WRAPPERS."""
    names = place.split(".") if place else []
    last = len(WRAPPERS)
    return tuple(WRAPPERS.index(name) if name in WRAPPERS else last for name in names)


def unprefixed(state: Mapping[str, StoredTensor]) -> dict[str, StoredTensor]:
    """Remove the first part that all names share: of DataParallel, compile, Lightning.

    Names of which one begins as in a checkpoint of SAM2 stay as they are.
    """
    state = dict(state)
    while not any(name.startswith(_ROOTS) for name in state):
        first = {name.partition(".")[0] for name in state if "." in name}
        if len(first) != 1 or not all("." in name for name in state):
            break
        state = {name.partition(".")[2]: x for name, x in state.items()}
    return state


def check_architecture(state: Mapping[str, Any], source: str | Path) -> None:
    """Raise InputError, with the model's name, for a checkpoint of a relative."""
    for model, starts in _OTHERS.items():
        if any(name.startswith(starts) for name in state):
            raise InputError(
                f"{source} is a checkpoint of {model}, which is another architecture: "
                "give one of SAM2.1 or SAM 2.0"
            )
    if any(name.startswith(_ROOTS) for name in state):
        return
    within = [name for name in state if any(f".{root}" in name for root in _ROOTS)]
    firsts = {name.partition(".")[0] for name in within}
    if len(firsts) == 1:  # else `unprefixed` had removed it
        (first,) = firsts
        strays = sorted(name for name in state if not name.startswith(f"{first}."))
        raise InputError(
            f"{source} holds other tensors beside those of the model under {first}: "
            f"{some(strays)}: save the state dict of {first} alone"
        )
    if firsts:
        raise InputError(
            f"{source} holds several models, under {some(sorted(firsts))}: save the "
            "state dict of one alone"
        )


def check_values(state: Mapping[str, StoredTensor], source: str | Path) -> list[str]:
    """Return notes of dtypes; InputError for other than finite floating-point values.

    Floats of 8 bits are refused: they are quantised, and need scales that SAM2 has not.
    """
    weights = {k: x for k, x in state.items() if k.rpartition(".")[2] in _WEIGHTS}
    check_floating(weights, source)
    # Of others, as of counters, whoever knows the model's names tells.
    state = {k: x for k, x in state.items() if "float" in x.dtype}
    small = [k for k, x in state.items() if DTYPES[x.dtype].itemsize == 1]
    if small:
        raise InputError(
            f"{source}: {state[small[0]].dtype} in {some(small)}: {_RELEASED}"
        )
    broken = [k for k, x in state.items() if not np.isfinite(x.read()).all()]
    if broken:
        raise InputError(
            f"{source}: non-finite values in {some(broken)}: download it again, or "
            "save a state from before it diverged"
        )
    others = {x.dtype for x in state.values() if x.dtype != "float32"}
    if not others:
        return []
    return [f"{source}: {', '.join(sorted(others))} is converted to float32"]


def check_floating(state: Mapping[str, Any], source: str | Path) -> None:
    """Raise InputError for stored tensors that are no floating-point numbers."""
    integers = [
        name
        for name, x in state.items()
        if isinstance(x, StoredTensor) and "float" not in x.dtype
    ]
    if integers:
        raise InputError(
            f"{source}: no floating-point numbers in {some(integers)}: {_RELEASED}"
        )


def some(names: list[str]) -> str:
    more = f" and {len(names) - 5} more" if len(names) > 5 else ""
    return ", ".join(names[:5]) + more
