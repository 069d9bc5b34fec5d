"""A whole Click2Graph in a folder, or one around the SAM2.1 that a folder holds."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from flax import nnx

from c2g_jax.checkpoints.safetensors import (
    initialise,
    load_weights,
    read_manifest,
    save_weights,
)
from c2g_jax.click2graph.didm import Didm, DidmConfig
from c2g_jax.click2graph.model import Click2Graph, Click2GraphConfig, click2graph_config
from c2g_jax.click2graph.sch import Sch, SchConfig
from c2g_jax.media.outputs import path_named
from c2g_jax.sam2.config import sam2_config
from c2g_jax.sam2.model import Sam2, abstract_sam2
from c2g_jax.types import InputError, TrackRules, whole
from c2g_jax.vocabulary import Vocabulary

# Weights of the toy size, which ship with the package.
TOY_CHECKPOINT = Path(__file__).resolve().parent.parent / "toy_checkpoint"
_KEY = "click2graph"  # in the manifest: what else it takes to build the model


def find_checkpoint(folder: str | Path | None) -> Path:
    """The folder of weights that is named, else the one that ships."""
    if folder is not None:
        return path_named(folder, "folder").resolve()
    if not TOY_CHECKPOINT.is_dir():
        raise InputError(
            "no checkpoint is given and none ships with this copy: give a folder of "
            "weights, as train or porting.convert writes it"
        )
    return TOY_CHECKPOINT


def save_click2graph(
    model: Click2Graph, folder: str | Path, manifest: Mapping[str, Any] | None = None
) -> None:
    """Write the parameters `sam2.*`, `didm.*` and `sch.*`, and what shapes them.

    `manifest` adds JSON values of the caller's own, such as where they come from.
    """
    config = model.config
    shape = {
        "image_size": config.sam2.image_size,
        "didm": dataclasses.asdict(config.didm),
        "sch": dataclasses.asdict(config.sch),
        "vocabulary": config.vocabulary.to_json(),
    }
    manifest = {**(manifest or {}), "size": config.sam2.size, _KEY: shape}
    save_weights(model, folder, manifest)


def load_click2graph(
    folder: str | Path,
    size: str | None = None,
    image_size: int | None = None,
    dtype: str = "float32",
    rules: TrackRules | None = None,
    discover_every: int = 1,
    seed: int = 0,
) -> tuple[Click2Graph, bool]:
    """The model in a folder, and whether its DIDM and SCH are in there too.

    A folder with SAM2.1 alone gives a model whose DIDM and SCH are seeded and have
    learned nothing: tell the user. `size` is the size that is asked for, if any;
    `image_size` replaces the checkpoint's. InputError where the folder does not fit.
    """
    image_size = _asked(image_size, dtype)
    manifest = read_manifest(folder)
    shape = manifest.get(_KEY)
    if shape is None:
        image_size = image_size or manifest.get("image_size")
        sam2 = sam2_config(manifest["size"], image_size, dtype)
        config = click2graph_config(sam2, None, rules, discover_every)
        model = abstract_click2graph(config)
        model.sam2 = load_weights(model.sam2, folder, size=size)
        return with_seeded_heads(model, seed), False
    try:
        config = Click2GraphConfig(
            sam2_config(manifest["size"], image_size or shape["image_size"], dtype),
            DidmConfig(**shape["didm"]),
            SchConfig(**shape["sch"]),
            Vocabulary.from_json(shape["vocabulary"]),
            rules or TrackRules(),
            discover_every,
        )
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(
            f"the manifest in {folder} does not describe a model ({error}): "
            "it was written by another version, or changed: convert or train it again"
        ) from error
    return load_weights(abstract_click2graph(config), folder, size=size), True


def _asked(image_size: int | None, dtype: str) -> int | None:
    """The side that a caller asks for, as an int.

    InputError where no model has it or the dtype: told before the folder is read,
    which would be blamed.
    """
    image_size = None if image_size is None else whole(image_size, "image_size")
    sam2_config("toy", image_size, dtype)
    return image_size


def untrained(checkpoint: str | Path) -> str:
    """What to tell who uses a checkpoint of which `load_click2graph` gives False."""
    return (
        f"{checkpoint} holds SAM2.1 alone: DIDM and SCH are untrained, so objects and "
        "relations are random and mean nothing: train them with "
        "python -m c2g_jax.train"
    )


def seeded_click2graph(config: Click2GraphConfig, seed: int) -> Click2Graph:
    """A model that has learned nothing: random parameters, from a seed."""
    model = abstract_click2graph(config)
    model.sam2 = initialise(model.sam2, seed)
    return with_seeded_heads(model, seed)


def with_seeded_heads(model: Click2Graph, seed: int) -> Click2Graph:
    """`model`, changed: its DIDM and SCH as they are before they learn anything."""
    rngs = nnx.Rngs(seed)
    model.didm = Didm(model.config.didm, rngs=rngs)
    model.sch = Sch(model.config.sch, rngs=rngs)
    return model


def save_sam2(
    model: Sam2, folder: str | Path, manifest: Mapping[str, Any] | None = None
) -> None:
    """Write the parameters of a SAM2.1 alone, and what shapes them."""
    shape = {"size": model.config.size, "image_size": model.config.image_size}
    save_weights(model, folder, {**(manifest or {}), **shape})


def load_sam2(
    folder: str | Path,
    size: str | None = None,
    image_size: int | None = None,
    dtype: str = "float32",
) -> Sam2:
    """SAM2.1 alone, from a folder that holds it or a whole Click2Graph.

    `size` is the size that is asked for, if any; `image_size` replaces the
    checkpoint's. InputError where the folder does not fit.
    """
    image_size = _asked(image_size, dtype)
    manifest = read_manifest(folder)
    shape = manifest.get(_KEY)
    image_size = image_size or (manifest if shape is None else shape).get("image_size")
    config = sam2_config(manifest["size"], image_size, dtype)
    model = abstract_sam2(config)
    prefix = "" if shape is None else "sam2"
    return load_weights(model, folder, prefix=prefix, size=size)


def abstract_click2graph(config: Click2GraphConfig) -> Click2Graph:
    """The model with shapes in the place of parameters, to be filled."""
    return nnx.eval_shape(lambda: Click2Graph(config, rngs=nnx.Rngs(0)))
