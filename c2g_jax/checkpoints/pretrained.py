"""Save and load a Click2Graph, or the SAM2.1 alone, as a folder.

A folder holds `weights.safetensors` and `manifest.json`, which describes the shape of
the model: the classes of DIDM and SCH follow from the fields there.
"""

import dataclasses
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from flax import nnx

from c2g_jax.checkpoints.released.cache import is_released, weights_folder
from c2g_jax.checkpoints.safetensors import (
    MANIFEST,
    initialise,
    load_weights,
    read_manifest,
    save_weights,
)
from c2g_jax.click2graph.didm import DidmConfig
from c2g_jax.click2graph.model import Click2Graph, Click2GraphConfig, click2graph_config
from c2g_jax.click2graph.sch import SchConfig
from c2g_jax.click2graph.settings import Settings
from c2g_jax.from_scratch.didm import didm_config
from c2g_jax.from_scratch.sch import sch_config
from c2g_jax.media.outputs import path_named, write_text
from c2g_jax.sam2.config import sam2_config
from c2g_jax.sam2.fused_attention import AUTO
from c2g_jax.sam2.layers import abstract
from c2g_jax.sam2.model import Sam2, abstract_sam2
from c2g_jax.types import InputError, TrackRules, whole
from c2g_jax.vocabulary import Vocabulary

# Weights of the toy size, which ship with the package.
TOY_CHECKPOINT = Path(__file__).resolve().parent.parent / "toy_checkpoint"
CLICK2GRAPH = "click2graph"  # the entry of the manifest that DIDM and SCH need
SETTINGS = "settings"  # the entry with the `Settings`, if they were tuned


def find_checkpoint(
    folder: str | Path | None, report: Callable[[str], None] | None = None
) -> Path:
    """Return the folder of weights that is named, else the one that ships.

    For a checkpoint as released (.pt, .safetensors, a folder of Hugging Face) this is
    its conversion in the user's cache; `report` is called with lines about that, by
    default on stderr.
    """
    if folder is not None:
        path = path_named(folder, "folder")
        if not is_released(path):
            return path.resolve() if path.exists() else path  # as named, for messages
        # Not resolved: files of the Hub's cache are links to files without a suffix.
        return weights_folder(path.absolute(), report)
    if not TOY_CHECKPOINT.is_dir():
        raise InputError(
            "no checkpoint is given and none ships with this copy: give a folder of "
            "weights, as train or porting.convert writes it"
        )
    return TOY_CHECKPOINT


def save_click2graph(
    model: Click2Graph, folder: str | Path, manifest: Mapping[str, Any] | None = None
) -> None:
    """Write the parameters `sam2.*`, `didm.*` and `sch.*`; the model's shape, settings.

    `manifest` adds JSON values of the caller, such as the origin of the weights.
    """
    config = model.config
    entries = {"size": config.sam2.size, CLICK2GRAPH: heads_shape(config)}
    if config.settings is not None:
        entries[SETTINGS] = config.settings.to_json()
    save_weights(model, folder, {**(manifest or {}), **entries})


def heads_shape(config: Click2GraphConfig) -> dict[str, Any]:
    """Return the entry of the manifest that DIDM and SCH need."""
    return {
        "image_size": config.sam2.image_size,
        "didm": dataclasses.asdict(config.didm),
        "sch": dataclasses.asdict(config.sch),
        "vocabulary": config.vocabulary.to_json(),
    }


def read_heads_shape(
    shape: Any, source: str | Path
) -> tuple[DidmConfig, SchConfig, Vocabulary, int]:
    """Return what `heads_shape` wrote, and the image size; or InputError."""
    try:
        found = (
            didm_config(**shape["didm"]),
            sch_config(**shape["sch"]),
            Vocabulary.from_json(shape["vocabulary"]),
            shape["image_size"],
        )
        classes = len(found[2].objects), len(found[2].predicates)
        if (found[1].num_objects, found[1].num_predicates) != classes:
            raise ValueError(f"the vocabulary has {classes} names")
        _check_shape(*found[:2])
    except (KeyError, TypeError, ValueError) as error:
        raise _no_model(source, error) from error
    return found


def _check_shape(didm: DidmConfig, sch: SchConfig) -> None:
    """Raise ValueError for sizes of which no layers can be made."""
    for config in (didm, sch):
        for name, value in dataclasses.asdict(config).items():
            whole = type(value) is int or name in ("dropout", "prior")
            if not isinstance(value, str) and not whole:
                raise ValueError(f"{name} is {value!r}")
            if type(value) is int and value < 1 and name not in ("dropout", "prior"):
                raise ValueError(f"{name} is {value}")
    if didm.d_model % didm.num_heads:
        raise ValueError(f"{didm.num_heads} heads do not divide {didm.d_model}")


def _no_model(source: str | Path, error: Exception) -> InputError:
    return InputError(
        f"the manifest in {source} does not describe a model ({error}): it was "
        "written by another version, or changed: convert or train it again"
    )


def load_click2graph(
    folder: str | Path,
    size: str | None = None,
    image_size: int | None = None,
    dtype: str = "float32",
    rules: TrackRules | None = None,
    discover_every: int = 1,
    seed: int = 0,
) -> tuple[Click2Graph, bool]:
    """Return the model in a folder, and whether its DIDM and SCH are trained.

    They are not if the folder holds SAM2.1 alone: then they are randomly initialised
    from `seed` and never asked (`config.trained`), which the user should be told
    (`untrained`). `size`, if given, must be
    the checkpoint's; `image_size` replaces the checkpoint's. Raises InputError if the
    folder does not fit.
    """
    image_size, named = _checked(image_size, dtype), folder
    folder = find_checkpoint(folder)
    manifest = read_manifest(folder)
    check_size(manifest, size, named or folder)
    shape = manifest.get(CLICK2GRAPH)
    if shape is None:
        image_size = image_size or manifest.get("image_size")
        sam2 = sam2_config(manifest["size"], image_size, dtype)
        config = click2graph_config(sam2, None, rules, discover_every)
        model = abstract_click2graph(dataclasses.replace(config, trained=False))
        model.sam2 = load_weights(model.sam2, folder, size=size)
        return with_seeded_heads(model, seed), False
    didm, sch, vocabulary, own = read_heads_shape(shape, folder)
    try:
        sam2 = sam2_config(manifest["size"], image_size or own, dtype)
    except (TypeError, ValueError) as error:
        raise _no_model(folder, error) from error
    settings = settings_of(manifest, folder)
    rules = rules or TrackRules()
    config = Click2GraphConfig(sam2, didm, sch, vocabulary, rules, discover_every)
    model = load_weights(abstract_click2graph(config), folder, size=size)
    model.set_settings(settings)
    return model, True


def check_size(
    manifest: Mapping[str, Any],
    size: str | None,
    named: str | Path,
    mend: str = "ask for {size}",
) -> None:
    """Raise InputError unless a checkpoint is of the expected size, if any.

    `named` is the path as its user gave it, which may have been converted into a cache;
    `mend` is what the message advises, with {size} for the size that it is of.
    """
    found = manifest["size"]
    if size not in (None, found):
        raise InputError(
            f"the checkpoint in {named} is of size {found}, not {size}: "
            f"{mend.format(size=found)} or give another checkpoint"
        )


def _checked(image_size: int | None, dtype: str) -> int | None:
    """Return the caller's image size as an int.

    Raises InputError if no model supports it or the dtype. Checked before the manifest
    is read, or the error would blame the folder.
    """
    image_size = None if image_size is None else whole(image_size, "image_size")
    sam2_config("toy", image_size, dtype)
    return image_size


def settings_of(manifest: Mapping[str, Any], folder: str | Path) -> Settings | None:
    """Return the settings in a checkpoint's manifest, None if it was not tuned.

    Raises InputError for an entry that holds none; `folder` is for the message.
    """
    try:
        return Settings.from_json(manifest.get(SETTINGS))
    except ValueError as error:
        raise InputError(
            f"the manifest in {folder} has no valid {error}: tune it again with "
            "python -m c2g_jax.tune, or remove the entry"
        ) from error


def write_settings(folder: str | Path, settings: Settings) -> None:
    """Write the settings of a checkpoint to its manifest; its weights stay."""
    manifest = {**read_manifest(folder), SETTINGS: settings.to_json()}
    text = json.dumps(manifest, indent=2, ensure_ascii=False)
    write_text(Path(folder) / MANIFEST, text + "\n")


def untrained(checkpoint: str | Path) -> str:
    """Return the warning for a checkpoint whose DIDM and SCH are untrained."""
    return (
        f"{checkpoint} holds SAM2.1 alone: objects, names and relations are not "
        "guessed: give trained heads beside it, or say them yourself"
    )


def seeded_click2graph(config: Click2GraphConfig, seed: int) -> Click2Graph:
    """Return a randomly initialised model."""
    model = abstract_click2graph(config)
    model.sam2 = initialise(model.sam2, seed)
    return with_seeded_heads(model, seed)


def with_seeded_heads(model: Click2Graph, seed: int) -> Click2Graph:
    """Return `model`, changed in place: its DIDM and SCH randomly initialised."""
    rngs = nnx.Rngs(seed)
    model.didm = model.config.didm.build(rngs=rngs)
    model.sch = model.config.sch.build(rngs=rngs)
    return model


def save_sam2(
    model: Sam2, folder: str | Path, manifest: Mapping[str, Any] | None = None
) -> None:
    """Write the parameters of a SAM2.1 alone, and its shape."""
    shape = {"size": model.config.size, "image_size": model.config.image_size}
    save_weights(model, folder, {**(manifest or {}), **shape})


def load_sam2(
    folder: str | Path,
    size: str | None = None,
    image_size: int | None = None,
    dtype: str = "float32",
    attention: str = AUTO,
) -> Sam2:
    """Return the SAM2.1 of a folder that holds it alone or a whole Click2Graph.

    `folder` may also be a checkpoint as released (`find_checkpoint`). `size`, if given,
    must be the checkpoint's; `image_size` replaces the checkpoint's; `attention` is
    that of `sam2_config`. Raises InputError if the folder does not fit.
    """
    image_size, named = _checked(image_size, dtype), folder
    folder = find_checkpoint(folder)
    manifest = read_manifest(folder)
    check_size(manifest, size, named or folder)
    shape = manifest.get(CLICK2GRAPH)
    image_size = image_size or (manifest if shape is None else shape).get("image_size")
    config = sam2_config(manifest["size"], image_size, dtype, attention)
    model = abstract_sam2(config)
    prefix = "" if shape is None else "sam2"
    return load_weights(model, folder, prefix=prefix, size=size)


def abstract_click2graph(config: Click2GraphConfig) -> Click2Graph:
    """Return the model with abstract parameters (shapes and dtypes), to be filled."""
    return abstract(lambda rngs: Click2Graph(config, rngs=rngs))
