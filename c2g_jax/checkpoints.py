"""Parameters of a module as an Orbax checkpoint; the only module that imports orbax.

A folder holds manifest.json, as that of `weights` does, and the checkpoint, a tree of
float32 arrays by their path in the module. Both are written aside and renamed.
"""

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from flax import nnx
from flax.traverse_util import flatten_dict, unflatten_dict
from orbax.checkpoint import v1 as ocp

from c2g_jax.types import InputError
from c2g_jax.weights import MANIFEST, fill_parameters, parameters, read_manifest

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
    manifest = {**manifest, "format": FORMAT, "sha256": _sha256(values)}
    folder.parent.mkdir(parents=True, exist_ok=True)
    aside = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    try:
        ocp.save(aside / FORMAT, unflatten_dict(values, sep="."))
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
    if _sha256(values) != manifest["sha256"]:
        raise InputError(
            f"{path} is not what its manifest names, it was changed: convert the "
            "checkpoint again"
        )
    start = f"{prefix}." if prefix else ""
    values = {k[len(start) :]: v for k, v in values.items() if k.startswith(start)}
    return fill_parameters(module, values, str(path))


def _sha256(values: Mapping[str, np.ndarray]) -> str:
    digest = hashlib.sha256()
    for name, value in sorted(values.items()):
        digest.update(f"{name} {value.dtype.name}{list(value.shape)}".encode())
        digest.update(np.ascontiguousarray(value).data)
    return digest.hexdigest()
