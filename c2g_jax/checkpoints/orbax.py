"""Checkpoints in Orbax's format; the only module that imports Orbax.

The parameters of a module are a folder with manifest.json, as in `safetensors`, and a
tree of float32 arrays by their path in the module. The states of a training run are
one such folder for each step. All are written to a temporary folder and renamed.
"""

import errno
import json
import os
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

import jax
import numpy as np
from flax import nnx
from flax.traverse_util import flatten_dict, unflatten_dict
from orbax.checkpoint import v1 as ocp

from c2g_jax.checkpoints.processes import in_first_process
from c2g_jax.checkpoints.safetensors import (
    MANIFEST,
    digest,
    fill_parameters,
    parameters,
    read_manifest,
    write_manifest,
)
from c2g_jax.types import InputError

FORMAT = "orbax"  # value in the manifest, and name of the folder with the tree
M = TypeVar("M", bound=nnx.Module)


def save_orbax(
    module: nnx.Module, folder: str | Path, manifest: Mapping[str, Any]
) -> None:
    """Write the module's parameters and the manifest to `folder`.

    `manifest` has JSON values, at least `size`; the format and a sha256 of names,
    shapes and values are added. InputError where the folder cannot be written.
    """
    folder = Path(folder).absolute()
    values = {k: np.asarray(v, np.float32) for k, v in parameters(module).items()}
    manifest = {**manifest, "format": FORMAT, "sha256": digest(values)}
    folder.parent.mkdir(parents=True, exist_ok=True)
    aside = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    try:
        try:
            ocp.save(aside / FORMAT, unflatten_dict(values, sep="."))
        # Orbax reports a full disk by exceptions of many types.
        except Exception as error:
            reason = str(error).partition("\n")[0][:200]
            raise InputError(
                f"{folder}: the weights cannot be written ({reason}; "
                f"{_free(folder.parent):,} bytes free): make room there, or write "
                "elsewhere"
            ) from error
        write_manifest(aside, manifest)
        os.chmod(aside, 0o755)  # created with mode 700
        if folder.exists():
            if (folder / FORMAT).exists():
                os.replace(folder / FORMAT, aside / "old")
            # Killed between the two: the sha256 in the manifest does not match.
            os.replace(aside / FORMAT, folder / FORMAT)
            os.replace(aside / MANIFEST, folder / MANIFEST)
        else:
            os.replace(aside, folder)
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def load_orbax(
    module: M, folder: str | Path, prefix: str = "", size: str | None = None
) -> M:
    """Return the module with its parameters from `folder`.

    `module` may be abstract; `prefix` and `size` are those of `load_weights`.
    InputError where the folder holds no such checkpoint, or a damaged one.
    """
    manifest, path = read_manifest(folder, size), Path(folder).absolute() / FORMAT
    if manifest.get("format") != FORMAT:
        raise InputError(f"{folder} is not in the format {FORMAT}: use load_weights")
    try:
        tree = ocp.load(path)
    # A damaged file can raise exceptions of any type.
    except Exception as error:
        raise InputError(
            f"{path} cannot be read, it is cut short or changed: convert the "
            "checkpoint again"
        ) from error
    values = {k: np.asarray(v) for k, v in flatten_dict(tree, sep=".").items()}
    if digest(values) != manifest["sha256"]:
        raise InputError(
            f"{path} does not match the sha256 in its manifest, it was changed: "
            "convert the checkpoint again"
        )
    start = f"{prefix}." if prefix else ""
    values = {k[len(start) :]: v for k, v in values.items() if k.startswith(start)}
    return fill_parameters(module, values, str(path))


def save_step(
    folder: str | Path,
    step: int,
    values: Mapping[str, np.ndarray],
    manifest: Mapping[str, Any],
    keep: int,
) -> None:
    """Write a training state, arrays by name, to `folder`/`step`.

    The newest `keep` checkpoints are kept, older ones deleted. `manifest` has JSON
    values. All processes of a run call it at the same time, with the same arrays and
    the same folder. InputError where it cannot be written; earlier checkpoints are
    then unchanged.
    """
    folder = Path(folder).absolute()
    aside = folder / f".step-{step}"

    def begin() -> None:
        folder.mkdir(parents=True, exist_ok=True)
        for leftover in folder.glob(".step-*"):  # of a run that was killed
            shutil.rmtree(leftover)
        need, free = sum(x.nbytes for x in values.values()), _free(folder)
        if free < need:
            raise OSError(errno.ENOSPC, f"{need:,} bytes needed, {free:,} free")
        aside.mkdir()

    def end() -> None:
        write_manifest(aside, {**manifest, "step": step, "sha256": digest(values)})
        if (folder / str(step)).exists():
            os.replace(folder / str(step), aside / "old")
        os.replace(aside, folder / str(step))
        shutil.rmtree(folder / str(step) / "old", ignore_errors=True)
        for old in saved_steps(folder)[:-keep]:
            shutil.rmtree(folder / str(old))

    try:
        in_first_process(begin)
        ocp.save(aside / FORMAT, unflatten_dict(dict(values), sep="/"))
        in_first_process(end)
    except InputError:  # the first process reports the reason
        raise
    # Orbax reports a full disk by exceptions of many types.
    except Exception as error:
        shutil.rmtree(aside, ignore_errors=True)
        kept = saved_steps(folder)
        raise InputError(
            f"the checkpoint of step {step} cannot be written to {folder} ({error}; "
            f"{_free(folder):,} bytes free): make room and run the same command, it "
            f"resumes from {f'step {kept[-1]}' if kept else 'the beginning'}"
        ) from error


def load_step(
    folder: str | Path, step: int
) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Read the arrays and manifest of `save_step`; InputError if damaged."""
    place = Path(folder).absolute() / str(step)
    try:
        manifest = json.loads((place / MANIFEST).read_text(encoding="utf-8"))
        with _without_other_processes():
            tree = ocp.load(place / FORMAT)
        values = {k: np.asarray(v) for k, v in flatten_dict(tree, sep="/").items()}
        if digest(values) != manifest["sha256"]:
            raise ValueError("values do not match the sha256 in the manifest")
    # A damaged file can raise exceptions of any type.
    except Exception as error:
        reason = str(error).partition("\n")[0][:200]
        raise InputError(
            f"the checkpoint {place} is cut short or changed ({reason})"
        ) from error
    return values, manifest


def set_aside(folder: str | Path, step: int) -> Path:
    """Rename a damaged checkpoint, so that it is neither read again nor deleted."""
    place = Path(folder).absolute() / str(step)
    damaged = place.with_name(f"{step}.damaged")
    shutil.rmtree(damaged, ignore_errors=True)
    return place.rename(damaged)


def saved_steps(folder: str | Path) -> list[int]:
    """Return the steps with a checkpoint in a folder of `save_step`, ascending."""
    folder = Path(folder)
    found = folder.iterdir() if folder.is_dir() else ()
    return sorted(int(path.name) for path in found if path.name.isdecimal())


def _without_other_processes() -> ocp.Context:
    """Return a context in which Orbax does not wait for the run's other processes."""
    process = jax.process_index()
    context = ocp.Context()
    options = context.multiprocessing
    options.primary_host, options.active_processes = process, {process}
    return context


def _free(folder: Path) -> int:
    return shutil.disk_usage(folder).free
