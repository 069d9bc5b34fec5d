"""Parameters of a module in a folder: weights.safetensors and manifest.json.

A tensor is named by its path in the module, joined by dots, and is float32, or float16
where the manifest says so. Files are written aside and renamed, so a folder never
holds half of them.
"""

import hashlib
import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from c2g_jax.media.outputs import output_folder
from c2g_jax.types import InputError

WEIGHTS, MANIFEST = "weights.safetensors", "manifest.json"
DTYPE = "dtype"  # in the manifest of a checkpoint in half precision
M = TypeVar("M", bound=nnx.Module)


def parameters(module: nnx.Module) -> dict[str, Any]:
    """The leaves of a module by name: arrays, or shapes if it is abstract."""
    return _flatten(nnx.to_pure_dict(nnx.state(module)))


def fill_parameters(module: M, values: Mapping[str, np.ndarray], source: str) -> M:
    """The module with all of its parameters from `values`, strict both ways.

    `module` may be abstract (`nnx.eval_shape`) and is not changed. InputError names
    everything of `source` that is missing, unexpected or misshapen.
    """
    wanted = {k: (tuple(v.shape), v.dtype) for k, v in parameters(module).items()}
    got = {k: (tuple(v.shape), v.dtype) for k, v in values.items()}
    check_names(wanted, got, source)
    return with_parameters(
        module, {name: jnp.asarray(value) for name, value in values.items()}
    )


def with_parameters(module: M, values: Mapping[str, jax.Array]) -> M:
    """The module, which may be abstract, with these parameters; inside jit too.

    Unchecked: what fits is what `parameters` names.
    """
    graph, state = nnx.split(module)
    # Unlike `replace_by_pure_dict`, this leaves the caller's own state alone.
    state = jax.tree.map(lambda x: x, state)
    nnx.replace_by_pure_dict(state, _nest(values.items()))
    return nnx.merge(graph, state)


def initialise(module: M, seed: int, embedding_std: float = 0.02) -> M:
    """An abstract module (`nnx.eval_shape`) with random parameters, from a seed.

    Kernels are normal and scaled by their inputs, norms and biases neutral, embeddings
    as large as asked for. To be trained, tokens want a standard deviation of 1, torch's
    default: small ones are all alike to the decoder. Made by numpy: a module's own
    constructor compiles a program for each shape.
    """
    rng = np.random.default_rng(seed)

    def draw(name: str, shape: tuple[int, ...]) -> np.ndarray:
        leaf = name.rsplit(".", 1)[-1]
        if leaf in ("bias", "scale"):
            return np.full(shape, float(leaf == "scale"), np.float32)
        if leaf == "gamma":  # of a residual branch that starts as good as closed
            return np.full(shape, 1e-6, np.float32)
        std = 0.02
        if leaf == "embedding":
            std = embedding_std
        if leaf == "kernel":
            std = float(np.prod(shape[:-1])) ** -0.5
        if leaf.endswith("gaussian_matrix"):
            std = 1.0
        return np.float32(std) * rng.standard_normal(shape, np.float32)

    shapes = {name: leaf.shape for name, leaf in sorted(parameters(module).items())}
    values = {name: draw(name, shape) for name, shape in shapes.items()}
    return fill_parameters(module, values, f"seed {seed}")


def check_names(wanted: Mapping, got: Mapping, source: str) -> None:
    """InputError unless both name the same tensors, (shape, dtype) each."""
    missing = sorted(wanted.keys() - got.keys())
    unexpected = sorted(got.keys() - wanted.keys())
    misshapen = [
        f"{name} {_describe(got[name])} instead of {_describe(wanted[name])}"
        for name in sorted(wanted.keys() & got.keys())
        if wanted[name] != got[name]
    ]
    faults = {"missing": missing, "unexpected": unexpected, "misshapen": misshapen}
    found = [f"{len(v)} {k}: {', '.join(v)}" for k, v in faults.items() if v]
    if found:
        raise InputError(
            f"{source} does not fit the model; {'; '.join(found)}: ask for the size "
            "and the release that it is of, or convert it again"
        )


def save_weights(
    module: nnx.Module, folder: str | Path, manifest: Mapping[str, Any]
) -> None:
    """Write the module's parameters and the manifest to `folder`.

    `manifest` holds JSON values, `size` at least; the sha256 of the weights is added.
    With a `dtype` of "float16" in it values are rounded to that, at half the bytes.
    """
    folder = Path(folder)
    dtype = np.dtype(manifest.get(DTYPE, "float32"))
    with np.errstate(over="ignore"):  # asked below, with the name
        values = {k: np.asarray(v, dtype) for k, v in parameters(module).items()}
    overflown = [k for k, v in values.items() if not np.isfinite(v).all()]
    if overflown and dtype != np.float32:
        raise InputError(f"{overflown[0]} does not fit {dtype}: save it as float32")
    # A manifest beside the weights of another, after a kill, is noticed by its sha256.
    with output_folder(folder) as aside:
        try:
            save_file(values, aside / WEIGHTS)
        except SafetensorError as error:  # of the disk: what is written fits
            raise InputError(
                f"{folder}: the weights cannot be written ({error}): make room there, "
                "or write elsewhere"
            ) from error
        os.chmod(aside / WEIGHTS, 0o644)  # it was made for its owner alone
        manifest = {**manifest, "sha256": file_sha256(aside / WEIGHTS)}
        text = json.dumps(manifest, indent=2, ensure_ascii=False)
        (aside / MANIFEST).write_text(text + "\n", encoding="utf-8")


def read_manifest(folder: str | Path) -> dict[str, Any]:
    """What `save_weights` wrote beside the weights: `size`, `sha256` and more."""
    path = Path(folder) / MANIFEST
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
        kinds = {"size": str, "sha256": str, "image_size": int | None}
        if all(isinstance(manifest.get(key), kind) for key, kind in kinds.items()):
            return manifest
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(
            f"no checkpoint in {folder}: give a folder that holds {MANIFEST} and "
            f"{WEIGHTS}, as porting.convert writes it"
        ) from error
    except (ValueError, AttributeError, RecursionError):
        pass
    raise InputError(f"{path} is not a checkpoint's manifest: convert it again")


def load_weights(
    module: M, folder: str | Path, prefix: str = "", size: str | None = None
) -> M:
    """The module with its parameters from `folder`; `module` may be abstract.

    With a `prefix`, only tensors whose names start with it and a dot are read, as the
    module's own. `size` is the size of SAM2.1 that is asked for, if the caller knows.
    InputError where the folder holds no such checkpoint, or a damaged one.
    """
    manifest, path = read_manifest(folder), Path(folder) / WEIGHTS
    if size is not None and manifest["size"] != size:
        raise InputError(
            f"the checkpoint in {folder} is of size {manifest['size']}, not {size}: "
            f"ask for {manifest['size']} or give another checkpoint"
        )
    if "format" in manifest:
        raise InputError(
            f"the checkpoint in {folder} is in the format {manifest['format']}: "
            "read it with c2g_jax.checkpoints.orbax, or convert it with "
            "--format=safetensors"
        )
    if not path.is_file():
        raise InputError(f"{path} is missing: convert the checkpoint again")
    if file_sha256(path) != manifest["sha256"]:
        raise InputError(
            f"{path} is not the file that its manifest names, it is cut short or "
            "changed: convert the checkpoint again"
        )
    start = f"{prefix}." if prefix else ""
    try:
        with safe_open(path, framework="numpy") as file:
            names = [name for name in file.keys() if name.startswith(start)]  # noqa: SIM118
            values = {name[len(start) :]: file.get_tensor(name) for name in names}
    except SafetensorError as error:
        raise InputError(
            f"{path} is not a safetensors file ({error}): convert it again"
        ) from error
    if manifest.get(DTYPE) == "float16":
        values = {k: np.asarray(v, np.float32) for k, v in values.items()}
    return fill_parameters(module, values, str(path))


def file_sha256(path: str | Path) -> str:
    """The sha256 of a file, in hexadecimal digits."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _describe(shape_and_dtype: tuple) -> str:
    shape, dtype = shape_and_dtype
    return f"{np.dtype(dtype).name}{list(shape)}"


def _flatten(tree: Mapping, start: str = "") -> dict[str, Any]:
    flat = {}
    for key, value in tree.items():
        name = f"{start}{key}"
        if isinstance(value, Mapping):
            flat |= _flatten(value, f"{name}.")
        else:
            flat[name] = value
    return flat


def _nest(items: Iterable[tuple[str, Any]]) -> dict:
    tree: dict = {}
    for name, value in items:
        *parents, leaf = (int(k) if k.isdigit() else k for k in name.split("."))
        node = tree
        for key in parents:
            node = node.setdefault(key, {})
        node[leaf] = value
    return tree
