"""Read checkpoints of SAM2: a file or a folder, official or of `transformers`."""

import dataclasses
import json
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

from c2g_jax.checkpoints.safetensors import MANIFEST
from c2g_jax.types import InputError
from porting import hugging_face
from porting.state_dicts import check_architecture, check_values, find_state, unprefixed

_INDEX, _CONFIG = "model.safetensors.index.json", "config.json"
# In a folder, the first of these patterns with a match.
_WEIGHTS = ("model.safetensors", "pytorch_model.bin", "*.safetensors", "*.pt", "*.pth")
_DAMAGED = "cannot be read as a checkpoint: it is cut short or another kind of file"


@dataclasses.dataclass(frozen=True)
class Checkpoint:
    """Tensors by their official names, and their source."""

    state: dict[str, torch.Tensor]
    files: tuple[Path, ...]
    naming: str  # of the files: "official" or "transformers"
    config: Path | None = None  # config.json of `transformers`
    notes: tuple[str, ...] = ()  # for the user
    # The names in the file by the official ones, where they are others.
    names: Mapping[str, str] = dataclasses.field(default_factory=dict)


def read_checkpoint(path: str | Path) -> Checkpoint:
    """Read a .pt or .safetensors file, or a folder with one.

    Pickled files hold the state dict, possibly in wrappers (`find_state`); their code
    is not run. InputError where there is no checkpoint of SAM2.
    """
    files = _weight_files(Path(path))
    state: dict[str, torch.Tensor] = {}
    notes: list[str] = []
    for file in files:
        if file.suffix == ".safetensors":
            state |= _read_safetensors(file)
        else:
            found, left = find_state(read_pickle(file), file)
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


def _weight_files(path: Path) -> tuple[Path, ...]:
    if path.is_file():
        return (path,)
    if not path.is_dir():
        raise InputError(f"there is no {path}: give a checkpoint's file or folder")
    if (path / MANIFEST).is_file():
        raise InputError(
            f"{path} is a checkpoint of this project: use it as it is, or --reverse "
            "makes a .pt of it"
        )
    if (path / _INDEX).is_file():
        return _shards(path / _INDEX)
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


def _read_safetensors(file: Path) -> dict[str, torch.Tensor]:
    try:
        return load_file(file)
    except PermissionError:
        raise
    except (SafetensorError, OSError) as error:
        raise InputError(f"{file} {_DAMAGED}; download it again") from error


def read_pickle(file: Path) -> Any:
    """Return what torch.load reads without running code, its checksums checked."""
    try:
        _check_sums(file)
        content = torch.load(file, map_location="cpu", weights_only=True)
    except (MemoryError, PermissionError):
        raise
    # A damaged file can raise exceptions of any type.
    except Exception as error:
        if "GLOBAL" in str(error):
            raise InputError(
                f"{file} holds Python objects besides tensors, which are not loaded:"
                " save the state dict alone"
            ) from error
        raise InputError(f"{file} {_DAMAGED}; download it again") from error
    return content


def _check_sums(file: Path) -> None:
    """Raise BadZipFile where a checksum does not match; torch does not check them.

    Files saved without checksums have a checksum of 0.
    """
    if not zipfile.is_zipfile(file):
        return  # format of torch before 1.6, without checksums
    with zipfile.ZipFile(file) as archive:
        for part in archive.infolist():
            if part.CRC:
                with archive.open(part) as stream:
                    while stream.read(1 << 20):
                        pass  # `zipfile` compares the checksum at the end
