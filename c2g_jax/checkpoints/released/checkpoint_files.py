"""Read checkpoints of SAM2: a file or a folder, official or of `transformers`."""

import dataclasses
import json
import struct
from collections.abc import Mapping
from pathlib import Path

from safetensors import SafetensorError, safe_open

from c2g_jax.checkpoints.released import hugging_face
from c2g_jax.checkpoints.released.state_dicts import (
    check_architecture,
    check_values,
    find_state,
    unprefixed,
)
from c2g_jax.checkpoints.released.stored_tensor import StoredTensor, contiguous
from c2g_jax.checkpoints.released.torch_file import DAMAGED, read_torch_file
from c2g_jax.checkpoints.safetensors import MANIFEST
from c2g_jax.types import InputError

INDEX, _CONFIG = "model.safetensors.index.json", "config.json"
# In a folder, the first of these patterns with a match.
_WEIGHTS = ("model.safetensors", "pytorch_model.bin", "*.safetensors", "*.pt", "*.pth")
# The names of dtypes in a .safetensors, and torch's.
_DTYPES = {
    "F64": "float64", "F32": "float32", "F16": "float16", "BF16": "bfloat16",
    "F8_E4M3": "float8_e4m3fn", "F8_E5M2": "float8_e5m2",
    "I64": "int64", "I32": "int32", "I16": "int16", "I8": "int8", "U64": "uint64",
    "U32": "uint32", "U16": "uint16", "U8": "uint8", "BOOL": "bool", "C64": "complex64",
}  # fmt: skip


@dataclasses.dataclass(frozen=True)
class Checkpoint:
    """Tensors by their official names, and their source."""

    state: dict[str, StoredTensor]
    files: tuple[Path, ...]
    naming: str  # of the files: "official" or "transformers"
    config: Path | None = None  # config.json of `transformers`
    notes: tuple[str, ...] = ()  # for the user
    # The names in the file by the official ones, where they are others.
    names: Mapping[str, str] = dataclasses.field(default_factory=dict)


def read_checkpoint(path: str | Path) -> Checkpoint:
    """Read a .pt or .safetensors file, or a folder with one.

    A .pt holds the state dict, possibly in wrappers (`find_state`); no code in it is
    run. InputError where there is no checkpoint of SAM2.
    """
    files = weight_files(Path(path))
    state: dict[str, StoredTensor] = {}
    notes: list[str] = []
    for file in files:
        if file.suffix == ".safetensors":
            state |= _read_safetensors(file)
        else:
            found, left = find_state(read_torch_file(file), file)
            state |= found
            notes += left
    state = unprefixed(state)
    check_architecture(state, path)
    notes += check_values(state, path)
    if not hugging_face.is_transformers(state):
        return Checkpoint(state, files, "official", notes=tuple(notes))
    config = files[0].with_name(_CONFIG)
    config = config if config.is_file() else None
    state, names = hugging_face.to_official(state, str(path))
    return Checkpoint(state, files, "transformers", config, tuple(notes), names)


def weight_files(path: Path) -> tuple[Path, ...]:
    """Return the files that hold the tensors; InputError where there are none."""
    if path.is_file():
        return (path,)
    if not path.is_dir():
        raise InputError(f"there is no {path}: give a checkpoint's file or folder")
    if (path / MANIFEST).is_file():
        raise InputError(
            f"{path} is a checkpoint of this project: use it as it is, or --reverse "
            "makes a .pt of it"
        )
    if (path / INDEX).is_file():
        return _shards(path / INDEX)
    for pattern in _WEIGHTS:
        found = sorted(path.glob(pattern))
        if len(found) > 1:
            names = ", ".join(file.name for file in found)
            raise InputError(f"{path} holds several checkpoints, {names}: name one")
        if found:
            return tuple(found)
    raise InputError(
        f"{path} holds no checkpoint: give a folder with a .safetensors or .pt file"
    )


def _shards(index: Path) -> tuple[Path, ...]:
    try:
        names = set(
            json.loads(index.read_text(encoding="utf-8"))["weight_map"].values()
        )
    except (OSError, ValueError, KeyError, AttributeError, TypeError,
            RecursionError) as error:  # fmt: skip
        raise InputError(
            f"{index} is not an index of shards: download it again"
        ) from error
    files = tuple(index.with_name(name) for name in sorted(names))
    missing = [file.name for file in files if not file.is_file()]
    if missing or not files:
        raise InputError(
            f"{index} names missing files: {', '.join(missing)}: download them"
        )
    return files


def _read_safetensors(file: Path) -> dict[str, StoredTensor]:
    """Return the tensors of a .safetensors file; `safe_open` checks their places."""
    try:
        with safe_open(file, framework="numpy"):
            pass
        with open(file, "rb") as opened:
            (length,) = struct.unpack("<Q", opened.read(8))
            header = json.loads(opened.read(length))
    except PermissionError:
        raise
    except (SafetensorError, OSError, ValueError, RecursionError) as error:
        raise InputError(f"{file} {DAMAGED}; download it again") from error
    header.pop("__metadata__", None)
    kinds = {entry["dtype"] for entry in header.values()} - _DTYPES.keys()
    if kinds:
        raise InputError(
            f"{file} has tensors of {', '.join(sorted(kinds))}: give the weights as "
            "released, not quantised"
        )
    return {
        name: StoredTensor(
            file,
            _DTYPES[entry["dtype"]],
            8 + length + entry["data_offsets"][0],
            tuple(entry["shape"]),
            contiguous(tuple(entry["shape"])),
        )
        for name, entry in header.items()
    }
