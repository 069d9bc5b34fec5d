"""Convert a folder of ours back to a state that the `sam2` package loads."""

import re
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import torch

from c2g_jax.checkpoints.safetensors import parameters
from c2g_jax.media.outputs import check_output, write_atomic
from c2g_jax.types import InputError
from porting import rules
from porting.official import ONLY_2_1, load_folder

# Inverse layouts of `rules.LEAVES`; the second argument is the number of axes in torch.
_BACK: Mapping[rules.Transform, Callable[[np.ndarray, int | None], np.ndarray]] = {
    rules.same: lambda x, _: x,
    rules.linear: lambda x, _: x.T,
    rules.conv: lambda x, _: x.transpose(3, 2, 0, 1),
    rules.transposed_conv: lambda x, _: x.transpose(2, 3, 0, 1),
    rules.grid: lambda x, _: x.transpose(2, 0, 1)[None],
    # The axes of size 1 precede the last axis.
    rules.squeeze: lambda x, axes: x.reshape(
        *x.shape[:-1], *(1,) * (axes - x.ndim), x.shape[-1]
    ),
}


def to_torch(arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Invert `rules.to_flax`; KeyError for arrays without a rule."""
    return dict(_tensor(path, array) for path, array in arrays.items())


def _tensor(path: str, array: np.ndarray) -> tuple[str, np.ndarray]:
    stem, _, last = path.rpartition(".")
    for row, (pattern, axes, leaf, layout) in enumerate(rules.LEAVES):
        if leaf not in (None, last):
            continue
        name = rules.rename(path if leaf is None else f"{stem}.weight", back=True)
        if not re.search(pattern, name):
            continue
        if leaf is not None and array.ndim != axes:
            continue
        tensor = np.ascontiguousarray(_BACK[layout](array, axes))
        if rules.leaf_rule(name, tensor.ndim) == row:
            return name, tensor
    raise KeyError(f"no rule makes {path}")


def reverse(folder: str | Path, output: str | Path) -> tuple[str, int]:
    """Write {'model': state} to a .pt file; return release and number of tensors.

    From a folder with a Click2Graph, its SAM2.1 is written. The file is written under a
    temporary name and renamed. A SAM 2.0 is written without the tensors of SAM2.1 only.
    """
    output = Path(output)
    if output.suffix not in (".pt", ".pth"):
        raise InputError(f"--output={output} is not a .pt file: name a .pt file")
    check_output(output, kind="file")
    model, manifest = load_folder(folder)
    arrays = {name: np.asarray(x) for name, x in parameters(model).items()}
    state = {name: torch.from_numpy(x.copy()) for name, x in to_torch(arrays).items()}
    release = "SAM2.1"
    if manifest.get("kind") == "sam2.0" and not any(
        state[name].any() for name in ONLY_2_1
    ):
        release = "SAM 2.0"
        state = {name: x for name, x in state.items() if name not in ONLY_2_1}
    output.parent.mkdir(parents=True, exist_ok=True)
    write_atomic(output, lambda aside: _save(state, aside))
    return f"{release} {manifest['size']}", len(state)


def _save(state: Mapping[str, torch.Tensor], path: Path) -> None:
    try:
        torch.save({"model": state}, path)
    except RuntimeError as error:  # torch hides the error of the disk
        free = shutil.disk_usage(path.parent).free
        raise InputError(
            f"{path.parent}: the checkpoint cannot be written, with {free:,} bytes "
            "free: make room there, or write elsewhere"
        ) from error
