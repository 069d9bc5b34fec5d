"""Convert official checkpoints: recognise the size, port, write folders of ours."""

from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch

from c2g_jax import __version__
from c2g_jax.checkpoints.safetensors import (
    MANIFEST,
    check_names,
    file_sha256,
    fill_parameters,
    load_weights,
    parameters,
    read_manifest,
    save_weights,
)
from c2g_jax.media.outputs import check_output
from c2g_jax.sam2.config import SIZES, Sam2Config, sam2_config
from c2g_jax.sam2.model import Sam2, abstract_sam2
from c2g_jax.types import InputError
from porting.checkpoint_files import Checkpoint, read_checkpoint
from porting.hugging_face import check_config
from porting.rules import to_flax, to_torch

# Tensors that SAM 2.0 lacks: it adds no embedding to the memory of absent objects, and
# no temporal position to object pointers (sam2/configs/sam2/*.yaml).
ONLY_2_1 = (
    "no_obj_embed_spatial",
    "obj_ptr_tpos_proj.weight",
    "obj_ptr_tpos_proj.bias",
)
_MEND = "give the whole state of SAM2.1 or SAM 2.0 of a published size"
_BLOCKS = "image_encoder.trunk.blocks."


def recognise_size(state: Mapping[str, torch.Tensor], source: str) -> str:
    """Return the size with the state's number of blocks and channels; or InputError."""
    blocks = {name.split(".")[3] for name in state if name.startswith(_BLOCKS)}
    patch = state.get("image_encoder.trunk.patch_embed.proj.weight")
    if patch is not None and patch.ndim != 4:
        patch = None
    for size in SIZES:
        config = sam2_config(size)
        if patch is None or patch.shape[0] != config.embed_dim:
            continue
        if len(blocks) == sum(config.stages):
            return size
    width = "no patch embedding" if patch is None else f"{patch.shape[0]} channels"
    raise InputError(
        f"{source} is of no size of SAM2.1: its trunk has {len(blocks)} blocks and "
        f"{width}; the sizes are {', '.join(SIZES)}"
    )


def is_2_0(state: Mapping[str, Any]) -> bool:
    """Return whether a state is of SAM 2.0."""
    return not any(name in state for name in ONLY_2_1)


def port(
    state: Mapping[str, torch.Tensor],
    config: Sam2Config,
    source: str = "the state",
    names: Mapping[str, str] | None = None,
) -> Sam2:
    """Return the Flax model with the values of an official state.

    InputError lists all missing, unexpected and misshapen tensors by their names in the
    state, or those that `names` has for them. For SAM 2.0 the
    tensors it lacks are zeros, which is equivalent to upstream's SAM 2.0.
    """
    model = abstract_sam2(config)
    if is_2_0(state):
        state = {**state, **_zeros(config)}
    wanted = to_torch({name: blank(x) for name, x in parameters(model).items()})
    own, given = (
        {(names or {}).get(name, name): blank(x) for name, x in part.items()}
        for part in (wanted, state)
    )
    check_names(own, given, source, _MEND)
    arrays, _ = to_flax(
        (name, tensor.detach().float().numpy()) for name, tensor in state.items()
    )
    return fill_parameters(model, arrays, source)


def blank(x: Any) -> np.ndarray:
    """Return zeros of the shape of a tensor or an array, as a view of one number."""
    return np.broadcast_to(np.float32(0), tuple(x.shape))


def _zeros(config: Sam2Config) -> dict[str, torch.Tensor]:
    c, m = config.d_model, config.mem_dim
    shapes = zip(ONLY_2_1, ((1, m), (m, c), (m,)), strict=True)
    return {name: torch.zeros(shape) for name, shape in shapes}


def load_folder(
    folder: str | Path, image_size: int | None = None, size: str | None = None
) -> tuple[Sam2, dict[str, Any]]:
    """Load the SAM2.1 in a folder of ours, of either format; and its manifest."""
    manifest = read_manifest(folder)
    model = abstract_sam2(sam2_config(manifest["size"], image_size))
    load, prefix = load_weights, "sam2" if "click2graph" in manifest else ""
    if manifest.get("format") == "orbax":
        # Orbax takes two seconds to import; most folders do not need it.
        from c2g_jax.checkpoints.orbax import load_orbax as load
    return load(model, folder, prefix=prefix, size=size), manifest


def state_of(model: Sam2, manifest: Mapping[str, Any]) -> dict[str, torch.Tensor]:
    """Return the official state of a folder's model; inverts `port`."""
    arrays = {name: np.asarray(x) for name, x in parameters(model).items()}
    state = {name: torch.from_numpy(x.copy()) for name, x in to_torch(arrays).items()}
    if manifest.get("kind") == "sam2.0" and not any(
        state[name].any() for name in ONLY_2_1
    ):
        state = {name: x for name, x in state.items() if name not in ONLY_2_1}
    return state


def read_state(
    checkpoint: str | Path, complete_with: str | Path | None = None
) -> tuple[dict[str, torch.Tensor], str, dict[str, Any], Mapping[str, str]]:
    """Return the official state of a checkpoint, its size, source, and names in files.

    `complete_with` is a second checkpoint of the same size for tensors that the first
    lacks. InputError where it is of another model, or has no memory modules.
    """
    given = read_checkpoint(checkpoint)
    state, size = given.state, recognise_size(given.state, str(checkpoint))
    if given.config is not None:
        check_config(given.config, sam2_config(size))
    source = _describe(given, state)
    if complete_with is not None:
        other = read_checkpoint(complete_with)
        if recognise_size(other.state, str(complete_with)) != size:
            raise InputError(
                f"{complete_with} is not of size {size} as {checkpoint} is"
            )
        rest = {k: v for k, v in other.state.items() if k not in state}
        state = state | rest
        source["completed_with"] = _describe(other, rest)
    elif not any(name.startswith("memory_attention.") for name in state):
        raise InputError(
            f"{checkpoint} has no memory modules, as Sam2Model saves it: convert it "
            "with --complete_with, a checkpoint of this size that has them"
        )
    return state, size, source, given.names


def convert(
    checkpoint: str | Path,
    output: str | Path,
    format: str = "safetensors",
    complete_with: str | Path | None = None,
) -> dict[str, Any]:
    """Convert a checkpoint to a folder of ours; return the folder's manifest."""
    output = Path(output)
    _check_output(output, format)
    state, size, source, names = read_state(checkpoint, complete_with)
    model = port(state, sam2_config(size), str(checkpoint), names)
    manifest = {
        "kind": "sam2.0" if is_2_0(state) else "sam2.1",
        "size": size,
        "parameters": sum(v.size for v in parameters(model).values()),
        "source": source,
        "versions": {
            "c2g_jax": __version__,
            **{name: version(name) for name in ("jax", "flax", "torch")},
        },
    }
    if format == "orbax":
        from c2g_jax.checkpoints.orbax import save_orbax

        save_orbax(model, output, manifest)
    else:
        save_weights(model, output, manifest)
    return manifest


def _check_output(output: Path, format: str) -> None:
    check_output(output)
    if (output / MANIFEST).exists():
        there = read_manifest(output).get("format", "safetensors")
        if there != format:
            raise InputError(
                f"{output} holds a checkpoint in the format {there} already: give "
                "another folder"
            )


def _describe(checkpoint: Checkpoint, used: Mapping[str, Any]) -> dict[str, Any]:
    """Describe the source of tensors; sharded checkpoints list each sha256.

    `notes`, where there are some, are for the user.
    """
    names = [file.name for file in checkpoint.files]
    sums = [file_sha256(file) for file in checkpoint.files]
    notes = {"notes": list(checkpoint.notes)} if checkpoint.notes else {}
    return notes | {
        "file": ", ".join(names),
        "sha256": ", ".join(sums),
        "naming": checkpoint.naming,
        "tensors": len(used),
    }
