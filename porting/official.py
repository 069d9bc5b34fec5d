"""The library's porting with PyTorch's tensors, and the way back to them."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from c2g_jax.checkpoints.released import official
from c2g_jax.checkpoints.released.official import ONLY_2_1
from c2g_jax.checkpoints.released.rules import to_torch
from c2g_jax.checkpoints.safetensors import load_weights, parameters, read_manifest
from c2g_jax.sam2.config import Sam2Config, sam2_config
from c2g_jax.sam2.model import Sam2, abstract_sam2


def port(
    state: Mapping[str, torch.Tensor],
    config: Sam2Config,
    source: str = "the state",
    names: Mapping[str, str] | None = None,
) -> Sam2:
    """Return the Flax model with the values of an official state; see the library's."""
    arrays = {name: x.detach().float().numpy() for name, x in state.items()}
    return official.port(arrays, config, source, names)


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
    checkpoint: str | Path,
) -> tuple[dict[str, torch.Tensor], str, dict[str, Any], Mapping[str, str]]:
    """Return the official state of a checkpoint, its size, source, and names in files.

    The values are float32.
    """
    state, *rest = official.read_state(checkpoint)
    return {k: torch.from_numpy(x.read()) for k, x in state.items()}, *rest
