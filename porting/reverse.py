"""Convert a folder of ours back to a state that the `sam2` package loads."""

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from c2g_jax.checkpoints.pretrained import CLICK2GRAPH
from c2g_jax.checkpoints.released.official import is_2_0
from c2g_jax.media.outputs import check_output, write_atomic
from c2g_jax.types import InputError
from porting.official import load_folder, state_of


def reverse(folder: str | Path, output: str | Path) -> tuple[str, int, tuple[str, ...]]:
    """Write {'model': state} to a .pt; return release, number of tensors, and notes.

    From a folder with a Click2Graph, its SAM2.1 is written, with a note. The file is
    written under a temporary name and renamed. A SAM 2.0 is written without the tensors
    of SAM2.1 only.
    """
    output = Path(output)
    if output.suffix not in (".pt", ".pth"):
        raise InputError(f"--output={output} is not a .pt file: name a .pt file")
    check_output(output, kind="file")
    model, manifest = load_folder(folder)
    state = state_of(model, manifest)
    release = "SAM 2.0" if is_2_0(state) else "SAM2.1"
    output.parent.mkdir(parents=True, exist_ok=True)
    write_atomic(output, lambda aside: save({"model": state}, aside))
    notes = ()
    if CLICK2GRAPH in manifest:
        notes = (
            f"{output} has the SAM2.1 of {folder} alone: for its DIDM and SCH use "
            f"--reverse --heads={folder}",
        )
    return f"{release} {manifest['size']}", len(state), notes


def save(content: Mapping[str, Any], path: Path) -> None:
    """Write a .pt; InputError where the disk is full."""
    try:
        torch.save(content, path)
    except RuntimeError as error:  # torch hides the error of the disk
        free = shutil.disk_usage(path.parent).free
        raise InputError(
            f"{path.parent}: the checkpoint cannot be written, with {free:,} bytes "
            "free: make room there, or write elsewhere"
        ) from error
