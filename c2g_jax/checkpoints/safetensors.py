"""Parameters of a module in a folder: weights.safetensors and manifest.json.

Tensors are named by their path in the module, joined by dots, and are float32, or
float16 if the manifest says so. Files are written to a temporary folder and renamed,
so that a folder never holds an incomplete checkpoint.
"""

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from flax.traverse_util import flatten_dict, unflatten_dict
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from c2g_jax.media.outputs import output_folder
from c2g_jax.types import InputError

WEIGHTS, MANIFEST = "weights.safetensors", "manifest.json"
_MEND = "ask for the size and the release that it is of, or convert it again"
DTYPE = "dtype"  # key in the manifest of a checkpoint in half precision
M = TypeVar("M", bound=nnx.Module)


def parameters(module: nnx.Module) -> dict[str, Any]:
    """Return the parameters of a module by name: arrays, or shapes if abstract."""
    flat = flatten_dict(nnx.to_pure_dict(nnx.state(module)))
    return {".".join(map(str, path)): value for path, value in flat.items()}


def fill_parameters(module: M, values: Mapping[str, np.ndarray], source: str) -> M:
    """Return the module with all its parameters from `values`.

    `module` may be abstract (`nnx.eval_shape`) and is not changed. InputError lists the
    tensors of `source` that are missing, unexpected or of the wrong shape or dtype.
    """
    check_names(parameters(module), values, source)
    return with_parameters(
        module, {name: jnp.asarray(value) for name, value in values.items()}
    )


def with_parameters(module: M, values: Mapping[str, jax.Array]) -> M:
    """Return the module with these parameters; works inside jit.

    `module` may be abstract and is not changed. `values` must have the names and shapes
    of `parameters(module)`; this is not checked.
    """
    graph, state = nnx.split(module)
    # A copy: `replace_by_pure_dict` changes the state in place.
    state = jax.tree.map(lambda x: x, state)
    # The items of a list have integer keys.
    paths = {
        tuple(int(key) if key.isdigit() else key for key in name.split(".")): value
        for name, value in values.items()
    }
    nnx.replace_by_pure_dict(state, unflatten_dict(paths))
    return nnx.merge(graph, state)


def initialise(module: M, seed: int, embedding_std: float = 0.02) -> M:
    """Return an abstract module (`nnx.eval_shape`) with random parameters.

    Kernels are normal with a variance of 1 / fan-in, norms and biases neutral,
    embeddings normal with `embedding_std`. For training use 1, torch's default: with
    small embeddings the decoder cannot tell tokens apart. Drawn with numpy: the
    module's own constructor would compile a program for each shape.
    """
    rng = np.random.default_rng(seed)

    def draw(name: str, shape: tuple[int, ...]) -> np.ndarray:
        leaf = name.rsplit(".", 1)[-1]
        if leaf in ("bias", "scale"):
            return np.full(shape, float(leaf == "scale"), np.float32)
        if leaf == "gamma":  # LayerScale
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


def check_names(
    wanted: Mapping[str, Any], got: Mapping[str, Any], source: str, mend: str = _MEND
) -> None:
    """Raise InputError unless names are equal, and shapes and dtypes by name.

    `mend` is what the message advises.
    """
    missing = sorted(wanted.keys() - got.keys())
    unexpected = sorted(got.keys() - wanted.keys())
    misshapen = []
    for name in sorted(wanted.keys() & got.keys()):
        own, other = _describe(got[name]), _describe(wanted[name])
        if own != other:
            misshapen.append(f"{name} {own} instead of {other}")
    faults = {"missing": missing, "unexpected": unexpected, "misshapen": misshapen}
    found = [f"{len(v)} {k}: {', '.join(v)}" for k, v in faults.items() if v]
    if found:
        raise InputError(f"{source} does not fit the model; {'; '.join(found)}: {mend}")


def save_weights(
    module: nnx.Module, folder: str | Path, manifest: Mapping[str, Any]
) -> None:
    """Write the module's parameters and the manifest to `folder`.

    `manifest` has JSON values, at least `size`; the sha256 of the weights is added.
    With a `dtype` of "float16" in it values are rounded to that. InputError where a
    value overflows it, the folder cannot be written, or the weights are those that
    `sam2.model.for_inference` made.
    """
    folder = Path(folder)
    if getattr(module, "inference_only", False):
        raise InputError(
            f"{folder}: the model was made for inference, and its weights are rounded: "
            "save the one that it was made from"
        )
    dtype = np.dtype(manifest.get(DTYPE, "float32"))
    with np.errstate(over="ignore"):  # reported below, by name
        values = {k: np.asarray(v, dtype) for k, v in parameters(module).items()}
    overflowed = [k for k, v in values.items() if not np.isfinite(v).all()]
    if overflowed and dtype != np.float32:
        raise InputError(f"{overflowed[0]} overflows {dtype}: save it as float32")
    # Killed between the two renames: the sha256 in the manifest does not match.
    with output_folder(folder) as aside:
        try:
            save_file(values, aside / WEIGHTS)
        except SafetensorError as error:  # an error of the disk
            raise InputError(
                f"{folder}: the weights cannot be written ({error}): make room there, "
                "or write elsewhere"
            ) from error
        os.chmod(aside / WEIGHTS, 0o644)  # created with mode 600
        manifest = {**manifest, "sha256": file_sha256(aside / WEIGHTS)}
        write_manifest(aside, manifest)


def write_manifest(folder: Path, manifest: Mapping[str, Any]) -> None:
    """Write a manifest of JSON values to a folder."""
    text = json.dumps(manifest, indent=2, ensure_ascii=False)
    (folder / MANIFEST).write_text(text + "\n", encoding="utf-8")


def read_manifest(folder: str | Path, size: str | None = None) -> dict[str, Any]:
    """Read the manifest that `save_weights` wrote: `size`, `sha256` and more.

    InputError where there is none, or where it is not of the expected `size`.
    """
    path = Path(folder) / MANIFEST
    valid = False
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
        kinds = {"size": str, "sha256": str, "image_size": int | None}
        valid = all(isinstance(manifest.get(key), kind) for key, kind in kinds.items())
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(
            f"no checkpoint in {folder}: give a folder that holds {MANIFEST} and "
            f"{WEIGHTS}, as porting.convert writes it"
        ) from error
    except (ValueError, AttributeError, RecursionError):
        pass
    if not valid:
        raise InputError(f"{path} is not a checkpoint's manifest: convert it again")
    if size is not None and manifest["size"] != size:
        raise InputError(
            f"the checkpoint in {folder} is of size {manifest['size']}, not {size}: "
            f"ask for {manifest['size']} or give another checkpoint"
        )
    return manifest


def load_weights(
    module: M, folder: str | Path, prefix: str = "", size: str | None = None
) -> M:
    """Return the module with its parameters from `folder`.

    `module` may be abstract. With a `prefix`, only tensors whose names start with it
    and a dot are read, without the prefix. `size` is the expected size of SAM2.1, if
    any. InputError where the folder holds no such checkpoint, or a damaged one.
    """
    manifest, path = read_manifest(folder, size), Path(folder) / WEIGHTS
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
            f"{path} does not match the sha256 in its manifest, it is cut short or "
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
    """Return the sha256 of a file, in hexadecimal digits."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def digest(values: Mapping[str, np.ndarray]) -> str:
    """Return the sha256 of names, dtypes, shapes and values."""
    found = hashlib.sha256()
    for name, value in sorted(values.items()):
        value = np.ascontiguousarray(value)
        found.update(f"{name} {value.dtype.name}{list(value.shape)}".encode())
        found.update(value.data)
    return found.hexdigest()


def _describe(array: Any) -> str:
    return f"{np.dtype(array.dtype).name}{list(array.shape)}"
