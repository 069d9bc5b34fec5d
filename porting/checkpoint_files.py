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

from c2g_jax.types import InputError
from porting import hugging_face

_WRAPPERS = ("model", "state_dict", "model_state_dict")
_PREFIXES = ("module.", "_orig_mod.", "model.")  # of DataParallel, compile, Lightning
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


def read_checkpoint(path: str | Path) -> Checkpoint:
    """Read a .pt or .safetensors file, or a folder with one.

    Pickled files hold the state dict, possibly under 'model', 'state_dict' or
    'model_state_dict'; their code is not run. InputError where there is no checkpoint.
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
    """Raise InputError for tensors that are not finite floating-point values."""
    integers = [k for k, x in state.items() if not x.is_floating_point()]
    if integers:
        raise InputError(
            f"{path}: no floating-point numbers in {_some(integers)}: give the weights "
            "as released, not quantised"
        )
    broken = [k for k, x in state.items() if not torch.isfinite(x.float()).all()]
    if broken:
        raise InputError(
            f"{path}: non-finite values in {_some(broken)}: download it again, or save "
            "a state from before it diverged"
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


def _read_pickle(file: Path) -> dict[str, torch.Tensor]:
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
            f"{file} holds non-tensors: {_some(wrong)}: save the state dict alone"
        )
    unnamed = [str(name) for name in state if not isinstance(name, str)]
    if unnamed:
        raise InputError(
            f"{file} has tensor names that are not strings: {_some(unnamed)}: save "
            "them under the names of the model's state dict"
        )
    return dict(state)


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


def _without_prefixes(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Remove the prefixes that wrappers add to every name."""
    for prefix in _PREFIXES * 2:  # in any order
        if all(name.startswith(prefix) for name in state):
            state = {name.removeprefix(prefix): x for name, x in state.items()}
    return state


def _some(names: list[str]) -> str:
    more = f" and {len(names) - 5} more" if len(names) > 5 else ""
    return ", ".join(names[:5]) + more
