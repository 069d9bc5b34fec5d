"""Checkpoints of SAM2 as people have them: one file or a folder, in any naming."""

import dataclasses
import json
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

from c2g_jax.types import InputError
from porting import hugging_face

_WRAPPERS = ("model", "state_dict", "model_state_dict")
_PREFIXES = ("module.", "_orig_mod.", "model.")  # of DataParallel, compile, Lightning
_INDEX, _CONFIG = "model.safetensors.index.json", "config.json"
# In a folder, the first of these names or patterns that something fits.
_WEIGHTS = ("model.safetensors", "pytorch_model.bin", "*.safetensors", "*.pt", "*.pth")
_DAMAGED = "cannot be read as a checkpoint: it is cut short or another kind of file"


@dataclasses.dataclass(frozen=True)
class Checkpoint:
    """Tensors by their official names, and where they come from."""

    state: dict[str, torch.Tensor]
    files: tuple[Path, ...]
    naming: str  # in the files: "official" or "transformers"
    config: Path | None = None  # the config.json beside them, of `transformers`


def read_checkpoint(path: str | Path) -> Checkpoint:
    """Read a .pt or .safetensors file, or a folder that holds one.

    Pickled files may hold the state dict itself or under 'model', 'state_dict' or
    'model_state_dict'; no code of theirs is run. InputError where there is none.
    """
    files = _weight_files(Path(path))
    state: dict[str, torch.Tensor] = {}
    for file in files:
        safe = file.suffix == ".safetensors"
        state |= _read_safetensors(file) if safe else _read_pickle(file)
    state = _without_prefixes(state)
    _check_values(state, path)
    if not hugging_face.is_transformers(state):
        return Checkpoint(state, files, "official")
    config = files[0].with_name(_CONFIG)
    return Checkpoint(
        hugging_face.to_official(state, str(path)),
        files,
        "transformers",
        config if config.is_file() else None,
    )


def _check_values(state: Mapping[str, torch.Tensor], path: str | Path) -> None:
    """InputError for tensors that hold no weights."""
    integers = [k for k, x in state.items() if not x.is_floating_point()]
    if integers:
        raise InputError(
            f"{path}: no floating-point numbers in {_some(integers)}: give the weights "
            "as they were released, not quantised"
        )
    broken = [k for k, x in state.items() if not torch.isfinite(x.float()).all()]
    if broken:
        raise InputError(
            f"{path}: values that are no numbers in {_some(broken)}: download it "
            "again, or save a state from before it diverged"
        )


def _weight_files(path: Path) -> tuple[Path, ...]:
    if path.is_file():
        return (path,)
    if not path.is_dir():
        raise InputError(f"there is no {path}: give a checkpoint's file or folder")
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
        raise InputError(f"{index} is no index of shards: download it again") from error
    files = tuple(index.with_name(name) for name in sorted(names))
    missing = [file.name for file in files if not file.is_file()]
    if missing or not files:
        raise InputError(f"{index} names what is not there: {', '.join(missing)}")
    return files


def _read_safetensors(file: Path) -> dict[str, torch.Tensor]:
    try:
        return load_file(file)
    except PermissionError:
        raise
    except (SafetensorError, OSError) as error:
        raise InputError(f"{file} {_DAMAGED}; download it again") from error


def _read_pickle(file: Path) -> dict[str, torch.Tensor]:
    try:
        _check_sums(file)
        content = torch.load(file, map_location="cpu", weights_only=True)
    except (MemoryError, PermissionError):
        raise
    # Whatever a damaged file makes of it, of several layers below.
    except Exception as error:
        if "GLOBAL" in str(error):
            raise InputError(
                f"{file} holds Python objects beside tensors, which are not run: save "
                "the state dict alone"
            ) from error
        raise InputError(f"{file} {_DAMAGED}; download it again") from error
    state: Any = content
    for key in _WRAPPERS:
        if isinstance(content, Mapping) and isinstance(content.get(key), Mapping):
            state = content[key]
            break
    if not isinstance(state, Mapping) or not any(map(torch.is_tensor, state.values())):
        raise InputError(
            f"{file} holds no tensors: give a state dict, alone or under one of "
            f"{', '.join(_WRAPPERS)}"
        )
    wrong = [str(name) for name, x in state.items() if not torch.is_tensor(x)]
    if wrong:
        raise InputError(
            f"{file} holds what is no tensor: {_some(wrong)}: save the state dict alone"
        )
    unnamed = [str(name) for name in state if not isinstance(name, str)]
    if unnamed:
        raise InputError(
            f"{file} names tensors by what is no text: {_some(unnamed)}: save them "
            "under the names of the model's state dict"
        )
    return dict(state)


def _check_sums(file: Path) -> None:
    """BadZipFile where a part is not what its checksum says: torch does not look.

    A sum of 0 is of a file that was saved without them.
    """
    if not zipfile.is_zipfile(file):
        return  # of an old torch, without sums
    with zipfile.ZipFile(file) as archive:
        for part in archive.infolist():
            if part.CRC:
                with archive.open(part) as stream:
                    while stream.read(1 << 20):
                        pass  # the sum is compared at the end, by BadZipFile


def _without_prefixes(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Without what a wrapper put before every name."""
    for prefix in _PREFIXES * 2:  # they come in any order
        if all(name.startswith(prefix) for name in state):
            state = {name.removeprefix(prefix): x for name, x in state.items()}
    return state


def _some(names: list[str]) -> str:
    more = f" and {len(names) - 5} more" if len(names) > 5 else ""
    return ", ".join(names[:5]) + more
