"""Checkpoints through Orbax; the only module that imports it.

Parameters of a module: a folder holds manifest.json, as that of `weights` does, and
the checkpoint, a tree of float32 arrays by their path in the module. The state of a
training run: a folder a step, with the same two. All are written aside and renamed.
"""

import errno
import hashlib
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
    fill_parameters,
    parameters,
    read_manifest,
)
from c2g_jax.types import InputError

FORMAT = "orbax"  # in the manifest, and the folder with the tree
M = TypeVar("M", bound=nnx.Module)


def save_orbax(
    module: nnx.Module, folder: str | Path, manifest: Mapping[str, Any]
) -> None:
    """Write the module's parameters and the manifest to `folder`.

    `manifest` holds JSON values, `size` at least; the format and a sha256 of the
    names, shapes and values are added.
    """
    folder = Path(folder).absolute()
    values = {k: np.asarray(v, np.float32) for k, v in parameters(module).items()}
    manifest = {**manifest, "format": FORMAT, "sha256": digest(values)}
    folder.parent.mkdir(parents=True, exist_ok=True)
    aside = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    try:
        try:
            ocp.save(aside / FORMAT, unflatten_dict(values, sep="."))
        # A full disk reaches us from layers below as errors of many kinds.
        except Exception as error:
            reason = str(error).partition("\n")[0][:200]
            raise InputError(
                f"{folder}: the weights cannot be written ({reason}; "
                f"{_free(folder.parent):,} bytes free): make room there, or write "
                "elsewhere"
            ) from error
        text = json.dumps(manifest, indent=2, ensure_ascii=False)
        (aside / MANIFEST).write_text(text + "\n", encoding="utf-8")
        os.chmod(aside, 0o755)  # it was made for its owner alone
        if folder.exists():
            if (folder / FORMAT).exists():
                os.replace(folder / FORMAT, aside / "old")
            # A manifest beside the tree of another is noticed by its sha256.
            os.replace(aside / FORMAT, folder / FORMAT)
            os.replace(aside / MANIFEST, folder / MANIFEST)
        else:
            os.replace(aside, folder)
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def load_orbax(
    module: M, folder: str | Path, prefix: str = "", size: str | None = None
) -> M:
    """The module with its parameters from `folder`; `module` may be abstract.

    `prefix` and `size` are those of `weights.load_weights`. InputError where the
    folder holds no such checkpoint, or a damaged one.
    """
    manifest, path = read_manifest(folder), Path(folder).absolute() / FORMAT
    if manifest.get("format") != FORMAT:
        raise InputError(f"{folder} is not in the format {FORMAT}: use load_weights")
    if size is not None and manifest["size"] != size:
        raise InputError(
            f"the checkpoint in {folder} is of size {manifest['size']}, not {size}: "
            f"ask for {manifest['size']} or give another checkpoint"
        )
    try:
        tree = ocp.load(path)
    # Whatever a damaged file makes of it, of many layers below.
    except Exception as error:
        raise InputError(
            f"{path} cannot be read, it is cut short or changed: convert the "
            "checkpoint again"
        ) from error
    values = {k: np.asarray(v) for k, v in flatten_dict(tree, sep=".").items()}
    if digest(values) != manifest["sha256"]:
        raise InputError(
            f"{path} is not what its manifest names, it was changed: convert the "
            "checkpoint again"
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
    """Write a training state, arrays by name, as `folder`/`step`.

    Of what is there before, the newest `keep` - 1 stay. `manifest` holds JSON values.
    InputError, with everything as it was, where it cannot be written. All processes of
    a run call it at the same time, with the same arrays; the folder is one for them.
    """
    folder = Path(folder).absolute()
    aside = folder / f".step-{step}"

    def begin() -> None:
        folder.mkdir(parents=True, exist_ok=True)
        for left in folder.glob(".step-*"):  # by a run that was killed
            shutil.rmtree(left)
        need, free = sum(x.nbytes for x in values.values()), _free(folder)
        if free < need:
            raise OSError(errno.ENOSPC, f"{need:,} bytes needed, {free:,} free")
        aside.mkdir()

    def end() -> None:
        whole = {**manifest, "step": step, "sha256": digest(values)}
        text = json.dumps(whole, indent=2, ensure_ascii=False)
        (aside / MANIFEST).write_text(text + "\n", encoding="utf-8")
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
    except InputError:  # it is the first process that says why
        raise
    # A full disk reaches us from layers below as errors of many kinds.
    except Exception as error:
        shutil.rmtree(aside, ignore_errors=True)
        kept = saved_steps(folder)
        raise InputError(
            f"the checkpoint of step {step} cannot be written to {folder} ({error}; "
            f"{_free(folder):,} bytes free): make room and run the same command, it "
            f"goes on from {f'step {kept[-1]}' if kept else 'the beginning'}"
        ) from error


def load_step(
    folder: str | Path, step: int
) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """The arrays and the manifest of `save_step`; InputError if they are damaged."""
    place = Path(folder).absolute() / str(step)
    try:
        manifest = json.loads((place / MANIFEST).read_text(encoding="utf-8"))
        with _alone():
            tree = ocp.load(place / FORMAT)
        values = {k: np.asarray(v) for k, v in flatten_dict(tree, sep="/").items()}
        if digest(values) != manifest["sha256"]:
            raise ValueError("values are not those that the manifest names")
    # Whatever a damaged file makes of it, of many layers below.
    except Exception as error:
        reason = str(error).partition("\n")[0][:200]
        raise InputError(
            f"the checkpoint {place} is cut short or changed ({reason})"
        ) from error
    return values, manifest


def set_aside(folder: str | Path, step: int) -> Path:
    """Rename a damaged checkpoint, so that it is neither read again nor lost."""
    place = Path(folder).absolute() / str(step)
    damaged = place.with_name(f"{step}.damaged")
    shutil.rmtree(damaged, ignore_errors=True)
    return place.rename(damaged)


def saved_steps(folder: str | Path) -> list[int]:
    """The steps with a checkpoint in a folder of `save_step`, in order."""
    folder = Path(folder)
    found = folder.iterdir() if folder.is_dir() else ()
    return sorted(int(path.name) for path in found if path.name.isdecimal())


def _alone() -> ocp.Context:
    """For a process that does not wait for the others of its run."""
    me = jax.process_index()
    context = ocp.Context()
    only = context.multiprocessing
    only.primary_host, only.active_processes = me, {me}
    return context


def _free(folder: Path) -> int:
    return shutil.disk_usage(folder).free


def digest(values: Mapping[str, np.ndarray]) -> str:
    """The sha256 of names, types, shapes and values."""
    found = hashlib.sha256()
    for name, value in sorted(values.items()):
        value = np.ascontiguousarray(value)
        found.update(f"{name} {value.dtype.name}{list(value.shape)}".encode())
        found.update(value.data)
    return found.hexdigest()
