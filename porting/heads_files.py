"""Trained heads between our files and PyTorch's, in both directions, strictly.

Ours is heads.safetensors (`c2g_jax.checkpoints.heads`), or a folder with a whole
Click2Graph. PyTorch's is a .pt with {"model": state of `porting.heads.Heads`,
"manifest": the manifest of ours}.
"""

import dataclasses
import functools
import re
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch

from c2g_jax.checkpoints.heads import Heads, parse_heads, read_heads, save_heads
from c2g_jax.checkpoints.pretrained import abstract_click2graph
from c2g_jax.checkpoints.released.official import blank
from c2g_jax.checkpoints.released.state_dicts import (
    check_floating,
    check_values,
    find_state,
    unprefixed,
)
from c2g_jax.checkpoints.released.torch_file import read_torch_file
from c2g_jax.checkpoints.safetensors import check_names, fill_parameters
from c2g_jax.click2graph.model import Click2Graph, click2graph_config
from c2g_jax.media.outputs import check_output, write_atomic
from c2g_jax.sam2.model import Sam2
from c2g_jax.types import InputError
from c2g_jax.vocabulary import Vocabulary
from porting.heads import Heads as TorchHeads
from porting.reverse import save

# Layers of a Sequential: ours are numbered without the activations and dropouts.
_STEPS = ((r"(didm\.point_head)", 2), (r"(sch\.(?:subject|object|predicate))", 3))
_QKV = "qkv"


def to_torch(arrays: Mapping[str, np.ndarray]) -> dict[str, torch.Tensor]:
    """Return the state of `porting.heads.Heads` from the parameters of ours.

    The projections of queries, keys and values become one, as nn.MultiheadAttention
    has them. `arrays` must be complete.
    """
    state, parts = {}, {}
    for name, value in arrays.items():
        stem, _, leaf = name.rpartition(".")
        value = np.asarray(value)
        value = value.T if leaf == "kernel" else value
        leaf = {"kernel": "weight", "scale": "weight"}.get(leaf, leaf)
        projection = re.fullmatch(rf"(.*_attn)\.([{_QKV}])_proj", stem)
        if projection:
            packed = f"{projection[1]}.in_proj_{leaf}"
            parts.setdefault(packed, {})[projection[2]] = value
            continue
        for pattern, step in _STEPS:
            stem = re.sub(
                rf"^{pattern}\.layers\.(\d)$",
                lambda m, step=step: f"{m[1]}.{step * int(m[2])}",
                stem,
            )
        state[f"{stem}.{leaf}" if stem else leaf] = value
    for name, rows in parts.items():
        state[name] = np.concatenate([rows[letter] for letter in _QKV])
    return {name: torch.from_numpy(x.copy()) for name, x in state.items()}


def to_flax(state: Mapping[str, torch.Tensor]) -> dict[str, np.ndarray]:
    """Return the parameters of ours from the state of a `porting.heads.Heads`."""
    arrays = {}
    for name, tensor in state.items():
        value = tensor.detach().float().numpy()
        stem, _, leaf = name.rpartition(".")
        for pattern, step in _STEPS:
            stem = re.sub(
                rf"^{pattern}\.(\d)$",
                lambda m, step=step: f"{m[1]}.layers.{int(m[2]) // step}",
                stem,
            )
        if leaf.startswith("in_proj_"):
            kind = leaf.removeprefix("in_proj_")
            for letter, part in zip(_QKV, np.split(value, 3), strict=True):
                new = "kernel" if kind == "weight" else kind
                arrays[f"{stem}.{letter}_proj.{new}"] = part.T
            continue
        if leaf == "weight":
            leaf = "kernel" if value.ndim == 2 else "scale"
        arrays[f"{stem}.{leaf}"] = value.T if leaf == "kernel" else value
    return {name: np.ascontiguousarray(value) for name, value in arrays.items()}


def torch_heads(heads: Heads) -> TorchHeads:
    """Return the twin with the values of ours; InputError for another form."""
    twin = TorchHeads(heads.didm.config, heads.sch.config)
    twin.load_state_dict(to_torch(heads.parameters()), strict=True)
    return twin.eval()


def flax_heads(twin: TorchHeads, sam2: Sam2, vocabulary: Vocabulary) -> Click2Graph:
    """Return the model of ours with the values of a twin, around a SAM2.1."""
    config = click2graph_config(sam2.config, vocabulary)
    model = abstract_click2graph(
        dataclasses.replace(config, didm=twin.didm.config, sch=twin.sch.config)
    )
    model.sam2, arrays = sam2, to_flax(twin.state_dict())
    for head in ("didm", "sch"):
        start = f"{head}."
        own = {k[len(start) :]: x for k, x in arrays.items() if k.startswith(start)}
        setattr(model, head, fill_parameters(getattr(model, head), own, head))
    return model


def read_torch_heads(path: str | Path) -> Heads:
    """Read a .pt of PyTorch's heads; InputError where it is none, by torch's names."""
    path = Path(path)
    if path.is_dir() or path.suffix == ".safetensors":
        raise InputError(
            f"{path} is no .pt of PyTorch's heads: give one, or --reverse makes one of "
            "a heads.safetensors or of a folder"
        )
    if not path.is_file():
        raise InputError(f"there is no {path}: give a .pt of heads")
    content = read_torch_file(path)
    manifest = content.get("manifest") if isinstance(content, Mapping) else None
    state = unprefixed(find_state(content, path)[0])
    check_values(state, path)
    if not isinstance(manifest, Mapping):
        raise InputError(
            f"{path} has no manifest: save it beside the state, as {{'model': state, "
            "'manifest': that of the heads.safetensors}"
        )
    arrays = functools.partial(_arrays, path, state)
    return parse_heads(path, manifest, arrays)


def _arrays(path: Path, state, didm, sch) -> dict[str, np.ndarray]:
    """Return our parameters, after torch's names and shapes have been checked."""
    with torch.device("meta"):
        wanted = TorchHeads(didm, sch).state_dict()
    own, given = ({k: blank(x) for k, x in part.items()} for part in (wanted, state))
    check_names(own, given, str(path), "save the whole state of porting.heads.Heads")
    check_floating(state, path)
    return to_flax({name: torch.from_numpy(x.read()) for name, x in state.items()})


def convert_heads(heads: str | Path, output: str | Path) -> int:
    """Convert a .pt of PyTorch's heads to a heads.safetensors; return its tensors."""
    output = Path(output)
    if output.suffix != ".safetensors":
        raise InputError(
            f"--output={output} is not a .safetensors file: name a .safetensors file, "
            "or give --reverse to write a .pt"
        )
    check_output(output, kind="file")
    found = read_torch_heads(heads)
    output.parent.mkdir(parents=True, exist_ok=True)
    save_heads(found, output)
    return len(found.parameters())


def reverse_heads(heads: str | Path, output: str | Path) -> int:
    """Convert a heads.safetensors, or the heads of a folder, to a .pt; as above."""
    output = Path(output)
    if output.suffix not in (".pt", ".pth"):
        raise InputError(f"--output={output} is not a .pt file: name a .pt file")
    check_output(output, kind="file")
    if Path(heads).is_file() and Path(heads).suffix in (".pt", ".pth"):
        raise InputError(
            f"{heads} is a .pt already: leave out --reverse to make a .safetensors"
        )
    found = read_heads(heads)
    state = torch_heads(found).state_dict()
    content = {"model": dict(state), "manifest": dict(found.manifest)}
    output.parent.mkdir(parents=True, exist_ok=True)
    write_atomic(output, lambda aside: save(content, aside))
    return len(state)
