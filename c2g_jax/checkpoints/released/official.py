"""Convert official checkpoints: recognise the size, port, write folders of ours."""

from collections.abc import Callable, Iterator, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from c2g_jax import __version__
from c2g_jax.checkpoints.released.checkpoint_files import Checkpoint, read_checkpoint
from c2g_jax.checkpoints.released.hugging_face import check_config
from c2g_jax.checkpoints.released.rules import to_flax, to_torch
from c2g_jax.checkpoints.released.state_dicts import check_floating
from c2g_jax.checkpoints.released.stored_tensor import StoredTensor
from c2g_jax.checkpoints.safetensors import (
    MANIFEST,
    check_names,
    file_sha256,
    fill_parameters,
    parameters,
    read_manifest,
    save_weights,
)
from c2g_jax.media.outputs import check_output
from c2g_jax.sam2.config import SIZES, Sam2Config, sam2_config
from c2g_jax.sam2.model import Sam2, abstract_sam2
from c2g_jax.types import InputError

# Tensors that SAM 2.0 lacks: it adds no embedding to the memory of absent objects, and
# no temporal position to object pointers (sam2/configs/sam2/*.yaml).
ONLY_2_1 = (
    "no_obj_embed_spatial",
    "obj_ptr_tpos_proj.weight",
    "obj_ptr_tpos_proj.bias",
)
_MEND = "give the whole state of SAM2.1 or SAM 2.0 of a published size"
RELEASES = {"sam2.1": "SAM2.1", "sam2.0": "SAM 2.0"}  # by kind
_COMPLETE = "convert it with porting.convert and"  # where that is not what runs
_BLOCKS = "image_encoder.trunk.blocks."
_PATCH = "image_encoder.trunk.patch_embed.proj.weight"


def recognise_size(state: Mapping[str, Any], source: str) -> str:
    """Return the size with the state's number of blocks and channels; or InputError."""
    blocks = {name.split(".")[3] for name in state if name.startswith(_BLOCKS)}
    patch = state.get(_PATCH)
    if patch is not None and len(patch.shape) != 4:
        patch = None
    for size in SIZES:
        config = sam2_config(size)
        if patch is None or patch.shape[0] != config.embed_dim:
            continue
        if len(blocks) == sum(config.stages):
            return size
    if not blocks and _PATCH not in state:
        raise InputError(
            f"{source} holds no SAM2: none of its tensors is named as in one (the "
            f"first is {next(iter(state), 'none')}): {_MEND}"
        )
    width = "no patch embedding" if patch is None else f"{patch.shape[0]} channels"
    raise InputError(
        f"{source} is of no size of SAM2.1: its trunk has {len(blocks)} blocks and "
        f"{width}; the sizes are {', '.join(SIZES)}"
    )


def is_2_0(state: Mapping[str, Any]) -> bool:
    """Return whether a state is of SAM 2.0."""
    return not any(name in state for name in ONLY_2_1)


def port(
    state: Mapping[str, StoredTensor | np.ndarray],
    config: Sam2Config,
    source: str = "the state",
    names: Mapping[str, str] | None = None,
    report: Callable[[str], None] | None = None,
) -> Sam2:
    """Return the Flax model with the values of an official state.

    InputError lists all missing, unexpected and misshapen tensors by their names in the
    state, or those that `names` has for them. For SAM 2.0 the
    tensors it lacks are zeros, which is equivalent to upstream's SAM 2.0. `report` is
    called with lines about the progress.
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
    check_floating(state, source)
    arrays, _ = to_flax(_read(state, report))
    return fill_parameters(model, arrays, source)


def _read(
    state: Mapping[str, StoredTensor | np.ndarray],
    report: Callable[[str], None] | None,
) -> Iterator[tuple[str, np.ndarray]]:
    """Yield names and float32 values, one tensor at a time; report at each quarter."""
    quarters = {len(state) * k // 4: f"{25 * k}%" for k in (1, 2, 3)}
    for index, (name, tensor) in enumerate(state.items()):
        if report is not None and index in quarters:
            report(f"converting: {quarters[index]}")
        stored = isinstance(tensor, StoredTensor)
        yield name, tensor.read() if stored else np.asarray(tensor, np.float32)


def blank(x: Any) -> np.ndarray:
    """Return zeros of the shape of a tensor or an array, as a view of one number."""
    return np.broadcast_to(np.float32(0), tuple(x.shape))


def _zeros(config: Sam2Config) -> dict[str, np.ndarray]:
    c, m = config.d_model, config.mem_dim
    shapes = zip(ONLY_2_1, ((1, m), (m, c), (m,)), strict=True)
    return {name: np.zeros(shape, np.float32) for name, shape in shapes}


def read_state(
    checkpoint: str | Path,
    complete_with: str | Path | None = None,
    how: str = _COMPLETE,
) -> tuple[dict[str, StoredTensor], str, dict[str, Any], Mapping[str, str]]:
    """Return the official state of a checkpoint, its size, source, and names in files.

    `complete_with` is a second checkpoint of the same size for tensors that the first
    lacks; `how` tells to give it. InputError where it is of another model, or has no
    memory modules.
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
            f"{checkpoint} has no memory modules, as Sam2Model saves it: {how} "
            "--complete_with, a checkpoint of this size that has them"
        )
    return state, size, source, given.names


def convert(
    checkpoint: str | Path,
    output: str | Path,
    format: str = "safetensors",
    complete_with: str | Path | None = None,
    report: Callable[[str], None] | None = None,
    how: str = _COMPLETE,
) -> dict[str, Any]:
    """Convert a checkpoint to a folder of ours; return the folder's manifest.

    `report` is called with lines about the size found, and the progress. `how` as in
    `read_state`.
    """
    output = Path(output)
    _check_output(output, format)
    state, size, source, names = read_state(checkpoint, complete_with, how)
    kind = "sam2.0" if is_2_0(state) else "sam2.1"
    if report is not None:
        report(f"{source['file']}: {RELEASES[kind]} {size}, {len(state)} tensors")
    model = port(state, sam2_config(size), str(checkpoint), names, report)
    manifest = {
        "kind": kind,
        "size": size,
        "parameters": sum(v.size for v in parameters(model).values()),
        "source": source,
        "versions": {
            "c2g_jax": __version__,
            **{name: version(name) for name in ("jax", "flax")},
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
