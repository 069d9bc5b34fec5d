"""Official checkpoints: read, recognised, ported, written as folders of ours."""

from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch

from c2g_jax import __version__
from c2g_jax.checkpoints.safetensors import (
    MANIFEST,
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
from porting.rules import to_flax

# What SAM 2.0 lacks: it adds nothing to the memory of an absent object and gives
# pointers no position in time (sam2/configs/sam2/*.yaml).
ONLY_2_1 = (
    "no_obj_embed_spatial",
    "obj_ptr_tpos_proj.weight",
    "obj_ptr_tpos_proj.bias",
)
_BLOCKS = "image_encoder.trunk.blocks."


def recognise_size(state: Mapping[str, torch.Tensor], source: str) -> str:
    """The size whose trunk has this many blocks and channels; else InputError."""
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
    """Whether a state is of SAM 2.0."""
    return not any(name in state for name in ONLY_2_1)


def port(
    state: Mapping[str, torch.Tensor], config: Sam2Config, source: str = "the state"
) -> Sam2:
    """The Flax model with the values of an official state.

    Every tensor is used once and every parameter filled once, or InputError lists all
    that is missing, unexpected and misshapen. Only what SAM 2.0 lacks as a whole is
    zeros: they add nothing either, so that it runs as upstream runs it.
    """
    model = abstract_sam2(config)
    if is_2_0(state):
        state = {**state, **_zeros(config)}
    arrays, unknown = to_flax(
        (name, tensor.detach().float().numpy()) for name, tensor in state.items()
    )
    # A name that no rule knows is listed with those that the model does not.
    arrays |= {name: np.zeros(0, np.float32) for name in unknown}
    return fill_parameters(model, arrays, source)


def _zeros(config: Sam2Config) -> dict[str, torch.Tensor]:
    c, m = config.d_model, config.mem_dim
    shapes = zip(ONLY_2_1, ((1, m), (m, c), (m,)), strict=True)
    return {name: torch.zeros(shape) for name, shape in shapes}


def load_folder(
    folder: str | Path, image_size: int | None = None, size: str | None = None
) -> tuple[Sam2, dict[str, Any]]:
    """The SAM2.1 in a folder of ours, of either format, and the folder's manifest."""
    manifest = read_manifest(folder)
    model = abstract_sam2(sam2_config(manifest["size"], image_size))
    load, prefix = load_weights, "sam2" if "click2graph" in manifest else ""
    if manifest.get("format") == "orbax":
        # It takes two seconds to import, and most folders are of the other format.
        from c2g_jax.checkpoints.orbax import load_orbax as load
    return load(model, folder, prefix=prefix, size=size), manifest


def read_state(
    checkpoint: str | Path, complete_with: str | Path | None = None
) -> tuple[dict[str, torch.Tensor], str, dict[str, Any]]:
    """The official state of a checkpoint, its size, and where its tensors come from.

    `complete_with` is a second one of the same size for what the first one lacks.
    InputError where it is of another model, or of images alone.
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
            f"{checkpoint} holds what segments images alone, as Sam2Model saves it: "
            "convert it with --complete_with, a checkpoint of this size with the memory"
        )
    return state, size, source


def convert(
    checkpoint: str | Path,
    output: str | Path,
    format: str = "safetensors",
    complete_with: str | Path | None = None,
) -> dict[str, Any]:
    """Write the folder, and return its manifest; `complete_with` as in `read_state`."""
    output = Path(output)
    _check_output(output, format)
    state, size, source = read_state(checkpoint, complete_with)
    model = port(state, sam2_config(size), str(checkpoint))
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
    """Where tensors come from; a checkpoint in shards has the sha256 of each."""
    names = [file.name for file in checkpoint.files]
    sums = [file_sha256(file) for file in checkpoint.files]
    return {
        "file": ", ".join(names),
        "sha256": ", ".join(sums),
        "naming": checkpoint.naming,
        "tensors": len(used),
    }
