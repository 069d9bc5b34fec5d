"""DIDM and SCH as a file of their own, beside any SAM2.1 of the same width.

heads.safetensors holds the parameters `didm.*` and `sch.*`: 20 MB, where SAM2.1 Large
has 900. Its metadata has one entry, `manifest`, in JSON:

    click2graph  image_size, didm, sch, vocabulary: as in a whole model's manifest
    sam2         size, width and sha256 (of names and values) of the SAM2.1 that they
                 were trained around
    rules        the fields of `TrackRules`
    settings     the `Settings`, if they were tuned
    sha256       of names and values of the heads

and what the caller adds, such as the training's configuration.
"""

import dataclasses
import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from c2g_jax.checkpoints.pretrained import (
    CLICK2GRAPH,
    SETTINGS,
    abstract_click2graph,
    find_checkpoint,
    heads_shape,
    load_click2graph,
    load_sam2,
    read_heads_shape,
    save_click2graph,
    settings_of,
    untrained,
)
from c2g_jax.checkpoints.released.cache import is_released
from c2g_jax.checkpoints.safetensors import (
    check_names,
    digest,
    parameters,
    read_manifest,
    with_parameters,
)
from c2g_jax.click2graph.didm import Didm, DidmConfig
from c2g_jax.click2graph.model import Click2Graph, Click2GraphConfig
from c2g_jax.click2graph.sch import Sch, SchConfig
from c2g_jax.click2graph.settings import Settings
from c2g_jax.media.outputs import path_named, write_atomic
from c2g_jax.sam2.layers import abstract
from c2g_jax.sam2.model import Sam2, for_inference
from c2g_jax.types import InputError, TrackRules
from c2g_jax.vocabulary import Vocabulary, load_vocabulary

HEADS = "heads.safetensors"
_MANIFEST = "manifest"  # the entry of the file's metadata
_MEND = "give a heads.safetensors, as train writes it beside its weights"
Arrays = Mapping[str, np.ndarray]


@dataclasses.dataclass(frozen=True)
class Heads:
    """A trained DIDM and SCH, and the manifest of their file."""

    didm: Didm
    sch: Sch
    manifest: Mapping[str, Any]
    source: str  # the file, for messages

    def parameters(self) -> dict[str, np.ndarray]:
        """Return the parameters by name: `didm.*` and `sch.*`, float32."""
        return _named(self.didm, self.sch)


def heads_of(model: Click2Graph, manifest: Mapping[str, Any] | None = None) -> Heads:
    """Return the heads of a model; `manifest` adds JSON values of the caller."""
    config = model.config
    entries = {
        CLICK2GRAPH: heads_shape(config),
        "sam2": describe_sam2(model.sam2),
        "rules": dataclasses.asdict(config.rules),
    }
    if config.settings is not None:
        entries[SETTINGS] = config.settings.to_json()
    return Heads(model.didm, model.sch, {**(manifest or {}), **entries}, "the model")


def describe_sam2(sam2: Sam2) -> dict[str, Any]:
    """Return size, width, and the sha256 of names and values, of a SAM2.1."""
    values = {name: np.asarray(x) for name, x in parameters(sam2).items()}
    config = sam2.config
    return {"size": config.size, "width": config.d_model, "sha256": digest(values)}


def save_heads(heads: Heads, path: str | Path) -> None:
    """Write heads.safetensors; the file is replaced atomically."""
    values = heads.parameters()
    manifest = {**heads.manifest, "sha256": digest(values)}
    metadata = {_MANIFEST: json.dumps(manifest, ensure_ascii=False)}

    def write(aside: Path) -> None:
        try:
            save_file(values, aside, metadata)
        except SafetensorError as error:  # an error of the disk
            raise InputError(
                f"{path}: the heads cannot be written ({error}): make room there, or "
                "write elsewhere"
            ) from error
        os.chmod(aside, 0o644)  # created with mode 600

    write_atomic(path, write)


def save_click2graph_and_heads(
    model: Click2Graph, folder: str | Path, manifest: Mapping[str, Any] | None = None
) -> None:
    """Write a whole model to `folder`, and heads.safetensors beside that folder."""
    save_click2graph(model, folder, manifest)
    save_heads(heads_of(model, manifest), Path(folder).with_name(HEADS))


def write_heads_settings(
    path: str | Path, model: Click2Graph, settings: Settings
) -> None:
    """Write settings to the manifest of a file, if it is there and has these heads."""
    if not Path(path).is_file():
        return
    heads = read_heads(path)
    if heads.manifest["sha256"] == digest(heads_of(model).parameters()):
        manifest = {**heads.manifest, SETTINGS: settings.to_json()}
        save_heads(dataclasses.replace(heads, manifest=manifest), path)


def read_heads(path: str | Path) -> Heads:
    """Read heads.safetensors, or the heads of a folder with a whole Click2Graph.

    InputError where it is no such file, is damaged, or does not fit its manifest.
    """
    path = path_named(path)
    if path.is_dir():
        model, trained = load_click2graph(path)
        if not trained:
            raise InputError(f"{path} holds SAM2.1 alone, no heads: {_MEND}")
        manifest = read_manifest(path)
        return dataclasses.replace(heads_of(model, manifest), source=str(path))
    manifest, values = heads_manifest(path), {}
    try:
        with safe_open(path, framework="numpy") as file:
            values = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except SafetensorError as error:
        raise InputError(f"{path} is cut short or changed: {_MEND}") from error
    heads = parse_heads(path, manifest, lambda *_: values)
    if digest(values) != manifest.get("sha256"):
        raise InputError(
            f"{path} does not match the sha256 in its manifest, it was changed: {_MEND}"
        )
    return heads


def heads_manifest(path: str | Path) -> dict[str, Any]:
    """Return the manifest of a heads.safetensors, or of a folder; or InputError."""
    path = path_named(path)
    if path.is_dir():
        return read_manifest(path)
    if not path.is_file():
        raise InputError(f"there are no heads in {path}: {_MEND}")
    try:
        with safe_open(path, framework="numpy") as file:
            text = (file.metadata() or {}).get(_MANIFEST, "")
        manifest = json.loads(text)
    except SafetensorError as error:
        raise InputError(f"{path} is not a safetensors file: {_MEND}") from error
    except (ValueError, RecursionError):
        manifest = None
    if not isinstance(manifest, dict) or not isinstance(manifest.get("sha256"), str):
        raise InputError(f"{path} has no manifest of heads in its metadata: {_MEND}")
    return manifest


def heads_sha256(path: str | Path | None) -> dict[str, str]:
    """Return {"heads": sha256} for a provenance; nothing without a path."""
    return {} if path is None else {"heads": heads_manifest(path)["sha256"]}


def has_trained_heads(checkpoint: str | Path, heads: str | Path | None) -> bool:
    """Return whether a folder of ours, with heads if given, has a trained DIDM, SCH."""
    return heads is not None or CLICK2GRAPH in read_manifest(checkpoint)


def settings_in_use(
    checkpoint: str | Path | None, heads: str | Path | None
) -> Settings | None:
    """Return the settings of the heads, if given, else of the checkpoint, if given.

    None where they were not tuned.
    """
    if heads is not None:
        return settings_of(heads_manifest(heads), heads)
    if checkpoint is None:
        return None
    return settings_of(read_manifest(checkpoint), checkpoint)


def vocabulary_in_use(
    checkpoint: str | Path | None, heads: str | Path | None
) -> Vocabulary:
    """Return the vocabulary of the heads, if given, else of the checkpoint, or default.

    SAM2.1 alone has OpenPVSG's; a released one is not converted for it.
    """
    if heads is not None:
        manifest, source = heads_manifest(heads), heads
    elif checkpoint is not None and is_released(Path(checkpoint)):
        return load_vocabulary()
    else:
        source = find_checkpoint(checkpoint)
        manifest = read_manifest(source)
    shape = manifest.get(CLICK2GRAPH)
    return load_vocabulary() if shape is None else read_heads_shape(shape, source)[2]


def parse_heads(
    path: str | Path,
    manifest: Mapping[str, Any],
    arrays: Callable[[DidmConfig, SchConfig], Arrays],
) -> Heads:
    """Return the heads that a manifest describes, with the arrays of our names.

    `arrays` returns them, given the shapes. InputError for another manifest, and for
    arrays that are missing, unexpected or of other shapes.
    """
    didm, sch, _, _ = read_heads_shape(manifest.get(CLICK2GRAPH), path)
    origin = manifest.get("sam2")
    if not isinstance(origin, Mapping) or not isinstance(origin.get("sha256"), str):
        raise InputError(
            f"{path}: its manifest does not tell the SAM2.1 that the heads were "
            f"trained around: {_MEND}"
        )
    _rules(manifest, path)
    settings_of(manifest, path)
    values = arrays(didm, sch)
    empty_didm, empty_sch = (
        abstract(lambda rngs, config=config: config.build(rngs=rngs))
        for config in (didm, sch)
    )
    check_names(_named(empty_didm, empty_sch), values, str(path), _MEND)
    return Heads(
        with_parameters(empty_didm, _part(values, "didm")),
        with_parameters(empty_sch, _part(values, "sch")),
        manifest,
        str(path),
    )


def with_heads(
    sam2: Sam2,
    heads: Heads,
    rules: TrackRules | None = None,
    discover_every: int = 1,
) -> Click2Graph:
    """Return the model of a SAM2.1 and heads; InputError for another width.

    `rules` are by default those in the manifest, whose settings the model has.
    """
    didm, sch, vocabulary, _ = read_heads_shape(
        heads.manifest[CLICK2GRAPH], heads.source
    )
    if didm.d_model != sam2.config.d_model:
        raise InputError(
            f"{heads.source} has heads for a SAM2.1 of width {didm.d_model}, but the "
            f"checkpoint, {sam2.config.size}, has width {sam2.config.d_model}: give "
            "heads that were trained around that width, or another --checkpoint"
        )
    rules = rules or _rules(heads.manifest, heads.source)
    config = Click2GraphConfig(
        sam2.config, didm, sch, vocabulary, rules, discover_every
    )
    model = abstract_click2graph(config)
    model.sam2, model.didm, model.sch = sam2, heads.didm, heads.sch
    model.set_settings(settings_of(heads.manifest, heads.source))
    return model


def begin_with_heads(model: Click2Graph, path: str | Path) -> None:
    """Replace DIDM and SCH of a model by trained ones of the same shape, to train on.

    `path` is as for `read_heads`. InputError for other shapes or another vocabulary.
    """
    heads = read_heads(path)
    vocabulary = read_heads_shape(heads.manifest[CLICK2GRAPH], heads.source)[2]
    mend = "configure didm and sch as these heads have them, or give others"
    check_names(_named(model.didm, model.sch), heads.parameters(), heads.source, mend)
    if vocabulary != model.config.vocabulary:
        raise InputError(
            f"{path} has heads for another vocabulary than the data set: give heads "
            "that were trained on its names"
        )
    model.didm = with_parameters(model.didm, parameters(heads.didm))
    model.sch = with_parameters(model.sch, parameters(heads.sch))


def load_model(
    folder: str | Path,
    heads: str | Path | None = None,
    *,
    size: str | None = None,
    image_size: int | None = None,
    dtype: str = "float32",
    rules: TrackRules | None = None,
    discover_every: int = 1,
    seed: int = 0,
    named: str | Path | None = None,
) -> tuple[Click2Graph, str | None]:
    """Return the model in a folder, with other heads if given, and a warning or None.

    Its weights are as `for_inference` holds them. `named` is the checkpoint as the user
    named it, for the warning.

    The warning is for the user: there are no trained heads, or they were trained around
    another SAM2.1. With `heads`, `image_size` is by default theirs. The other arguments
    are those of `load_click2graph`. Raises InputError for what does not fit.
    """
    if heads is None:
        model, trained = load_click2graph(
            folder, size, image_size, dtype, rules, discover_every, seed
        )
        warning = None if trained else untrained(named or folder)
        return for_inference(model), warning
    found = read_heads(heads)
    image_size = image_size or found.manifest[CLICK2GRAPH].get("image_size")
    sam2 = load_sam2(folder, size, image_size, dtype)
    model = for_inference(with_heads(sam2, found, rules, discover_every))
    was, now = found.manifest["sam2"], describe_sam2(sam2)
    if was["sha256"] == now["sha256"]:
        return model, None
    return model, (
        f"{heads} was trained around another SAM2.1 ({was.get('size')}, sha256 "
        f"{was['sha256'][:12]}) than {named or folder} ({now['size']}, "
        f"{now['sha256'][:12]}): objects and relations may be worse"
    )


def _rules(manifest: Mapping[str, Any], path: str | Path) -> TrackRules:
    try:
        return TrackRules(**manifest.get("rules", {}))
    except TypeError as error:
        raise InputError(
            f"{path}: its manifest has rules of another version ({error}): {_MEND}"
        ) from error


def _named(didm: Didm, sch: Sch) -> dict[str, Any]:
    """Return the parameters of both by name: arrays, or shapes if abstract."""
    both = {f"didm.{k}": x for k, x in parameters(didm).items()}
    both |= {f"sch.{k}": x for k, x in parameters(sch).items()}
    abstract = any(isinstance(x, jax.ShapeDtypeStruct) for x in both.values())
    return both if abstract else {k: np.asarray(x) for k, x in both.items()}


def _part(values: Arrays, prefix: str) -> dict[str, jax.Array]:
    start = f"{prefix}."
    return {
        k.removeprefix(start): jax.numpy.asarray(x)
        for k, x in values.items()
        if k.startswith(start)
    }
