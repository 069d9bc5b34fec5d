"""Time of a frame, part by part, compared with the `sam2` package.

    python -m benchmarks.stages --size=large --objects=1,4 --rounds=3

Every part of SAM2.1 gets inputs of the same shapes in both implementations, with a
batch of objects and a full memory bank. After a round that compiles, rounds are
interleaved; the table shows median (min-max) and the ratio of medians. FLOPs are XLA's
count for our part. "of peak" is the share of the throughput of a large matrix product
on the same machine.
"""

import statistics
import time
from collections.abc import Callable
from importlib.metadata import version
from typing import Any, NamedTuple
from unittest import mock

import jax
import jax.numpy as jnp
import numpy as np
from absl import flags
from rich.console import Console
from rich.table import Table

from benchmarks.measures import (
    check_json,
    processor,
    ratio,
    record,
    seconds,
    whole_numbers,
)
from benchmarks.peers import torch_device
from c2g_jax.cli import launch
from c2g_jax.cli.launch import IMAGE_SIZE, compute_dtype
from c2g_jax.sam2 import attention, memory_attention, memory_encoder, track
from c2g_jax.sam2.config import SIZES, Sam2Config, sam2_config
from c2g_jax.sam2.memory import RECENT, Memories
from c2g_jax.sam2.model import FrameFeatures, Sam2
from c2g_jax.sam2.prompts import Prompts
from c2g_jax.types import InputError

SIZE = flags.DEFINE_enum("size", "tiny", SIZES, "Size of SAM2.1.")
for _name in ("image_size", "dtype"):
    flags.declare_key_flag(_name)
OBJECTS = flags.DEFINE_list("objects", ["1", "4"], "Numbers of objects to measure.")
ROUNDS = flags.DEFINE_integer("rounds", 3, "Interleaved rounds.", lower_bound=1)
PARTS = flags.DEFINE_list("parts", None, "Parts to time. Default: all.")
flags.declare_key_flag("json")

_SLOTS = 1 + RECENT  # a prompted frame and the recent ones
_PEAK_SIDE = 4096


class Part(NamedTuple):
    """A part for n objects: our function of (model, *inputs), and the peer's call."""

    ours: Callable
    inputs: tuple
    theirs: Callable[[], Any]


class Inputs:
    """Seeded random inputs of the parts."""

    def __init__(self, config: Sam2Config):
        self.config, self._key = config, jax.random.key(0)

    def draw(self, *shape: int) -> jax.Array:
        self._key, key = jax.random.split(self._key)
        return jax.random.normal(key, shape, self.config.compute_dtype)

    def features(self) -> FrameFeatures:
        side, c = self.config.feature_size, self.config.d_model
        fine = self.draw(1, 4 * side, 4 * side, c // 8)
        middle = self.draw(1, 2 * side, 2 * side, c // 4)
        return FrameFeatures(self.draw(1, side, side, c), (fine, middle))

    def memories(self, n: int) -> Memories:
        config, side = self.config, self.config.feature_size
        pointers = config.max_obj_ptrs
        rows = jnp.arange(_SLOTS)[::-1]
        return Memories(
            spatial=self.draw(n, _SLOTS, side, side, config.mem_dim),
            spatial_time=jnp.broadcast_to(rows, (n, _SLOTS)),
            spatial_valid=jnp.ones((n, _SLOTS), bool),
            pointers=self.draw(n, pointers, config.d_model),
            pointer_time=jnp.broadcast_to(jnp.arange(1.0, pointers + 1), (n, pointers)),
            pointer_valid=jnp.ones((n, pointers), bool),
        )


def parts(pair, device: str) -> dict[str, Part]:
    """Return the parts by name. pair: a porting.pair.Pair."""
    made = Inputs(pair.ours.config)
    side = pair.config.image_size
    image = made.draw(1, side, side, 3)
    their_image = _torch(image, device).permute(0, 3, 1, 2).contiguous()
    found = {
        "image encoder": Part(
            Sam2.encode_image,
            (image,),
            lambda: pair.reference.forward_image(their_image),
        )
    }
    for n in whole_numbers(OBJECTS):
        of = f", {n} object" + "s" * (n > 1)
        found["memory attention" + of] = attention_part(pair, made, n, device)
        found["mask decoder" + of] = decoder_part(pair, made, n, device)
        found["memory encoder" + of] = memory_part(pair, made, n, device)
    kinds = dict.fromkeys(name.split(",")[0] for name in found)
    asked = kinds if PARTS.value is None else PARTS.value
    if unknown := set(asked) - set(kinds):
        raise InputError(
            f"--parts={','.join(asked)}: there is no {unknown.pop()!r}: use some of "
            f"{', '.join(kinds)}"
        )
    return {k: v for k, v in found.items() if k.split(",")[0] in asked}


def attention_part(pair, made: Inputs, n: int, device: str) -> Part:
    """Memory attention for n objects with full memory banks."""
    config, c, m = pair.config, pair.config.d_model, pair.config.mem_dim
    pointers = config.max_obj_ptrs * (c // m)
    keys = _SLOTS * config.feature_size**2 + pointers
    image = _torch(made.draw(config.feature_size**2, n, c), device)
    position = _torch(made.draw(config.feature_size**2, n, c), device)
    memory = _torch(made.draw(keys, n, m), device)
    memory_position = _torch(made.draw(keys, n, m), device)

    def theirs():
        return pair.reference.memory_attention(
            curr=[image],
            curr_pos=[position],
            memory=memory,
            memory_pos=memory_position,
            num_obj_ptr_tokens=pointers,
        )

    def ours(model: Sam2, features: FrameFeatures, memories: Memories) -> jax.Array:
        return model.with_memory(features, memories, track.LONG)

    return Part(ours, (made.features(), made.memories(n)), theirs)


def decoder_part(pair, made: Inputs, n: int, device: str) -> Part:
    """Prompt encoder and mask decoder, one click per object."""
    import torch

    features = made.features()
    points = jnp.full((n, 1, 2), pair.config.image_size / 2)
    prompts = Prompts(points, jnp.ones((n, 1), jnp.int32))
    levels = [
        _torch(x, device).permute(0, 3, 1, 2).expand(n, -1, -1, -1).contiguous()
        for x in (features.embed, *features.high_res)
    ]
    given = {
        "point_coords": _torch(points, device),
        "point_labels": torch.ones((n, 1), dtype=torch.int32, device=device),
    }

    def theirs():
        return pair.reference._forward_sam_heads(
            backbone_features=levels[0],
            point_inputs=given,
            high_res_features=levels[1:],
            multimask_output=True,
        )

    return Part(track.segment, (features, prompts), theirs)


def memory_part(pair, made: Inputs, n: int, device: str) -> Part:
    """Memory encoder for n masks at image resolution."""
    side = pair.config.image_size
    features, masks = made.features(), made.draw(n, side, side)
    embed = _torch(features.embed, device).permute(0, 3, 1, 2)
    embed = embed.expand(n, -1, -1, -1).contiguous()
    their_masks = _torch(masks, device)[:, None]

    def theirs():
        return pair.reference.memory_encoder(embed, their_masks, skip_mask_sigmoid=True)

    def ours(model: Sam2, features: FrameFeatures, masks: jax.Array) -> jax.Array:
        return model.memory_encoder(features.embed, masks)

    return Part(ours, (features, masks), theirs)


def _torch(x: jax.Array, device: str):
    import torch

    return torch.from_numpy(np.array(x, np.float32)).to(device)


def measure(pair, device: str) -> dict[str, dict]:
    """Return {part: {seconds: {implementation: list}, compile_seconds, flops}}."""
    import torch

    @torch.inference_mode()
    def run(theirs: Callable) -> None:
        half = compute_dtype() == "bfloat16"
        with torch.autocast(device, torch.bfloat16, enabled=half):
            theirs()
        if device == "cuda":
            torch.cuda.synchronize()

    figures, actions = {}, {}
    for name, part in parts(pair, device).items():
        begun = time.perf_counter()
        compiled = jax.jit(part.ours).lower(pair.ours, *part.inputs).compile()
        figures[name] = {
            "compile_seconds": time.perf_counter() - begun,
            "flops": flops(part, pair.ours),
            "seconds": {"ours": [], "sam2": []},
        }
        actions[name] = (
            lambda compiled=compiled, part=part: compiled(pair.ours, *part.inputs),
            lambda part=part: run(part.theirs),
        )
    for counts in (False, *[True] * ROUNDS.value):
        for name, sides in actions.items():
            for side, action in zip(("ours", "sam2"), sides, strict=True):
                taken = seconds(action)
                if counts:
                    figures[name]["seconds"][side].append(taken)
    return figures


def flops(part: Part, model: Sam2) -> float:
    """Return XLA's FLOP count without blocking: XLA counts one iteration of a loop."""
    with (
        mock.patch.object(attention, "_BLOCK", 1 << 20),
        mock.patch.object(memory_attention, "_MAX_TOKENS", 1 << 30),
        mock.patch.object(memory_encoder, "_MAX_PIXELS", 1 << 30),
    ):
        plain = jax.jit(lambda *given: part.ours(*given)).lower(model, *part.inputs)
    return plain.cost_analysis()["flops"]


def peak() -> float:
    """Return FLOPs per second of a square matrix product, the best of five."""
    x = jnp.ones((_PEAK_SIDE, _PEAK_SIDE), compute_dtype())
    product = jax.jit(jnp.matmul)
    product(x, x)
    return 2 * _PEAK_SIDE**3 / min(seconds(lambda: product(x, x)) for _ in range(5))


def show(title: str, figures: dict[str, dict], peak_flops: float) -> None:
    """Print a row per part."""
    table = Table(title=title)
    for heading in ("part", "ours, s", "sam2, s", "ours / sam2", "GFLOP", "of peak"):
        table.add_column(heading, justify="left" if heading == "part" else "right")
    for name, row in figures.items():
        sides = row["seconds"]
        cells = [
            f"{statistics.median(times):.4f} ({min(times):.4f}-{max(times):.4f})"
            for times in sides.values()
        ]
        ours = statistics.median(sides["ours"])
        table.add_row(
            name,
            *cells,
            f"{ratio(sides):.2f}",
            f"{row['flops'] / 1e9:.1f}",
            f"{row['flops'] / ours / peak_flops:.0%}",
        )
    Console(width=120).print(table)


def main(argv) -> None:
    del argv
    check_json()
    whole_numbers(OBJECTS)  # refuse bad input before building models
    with launch.needing("port"):
        from porting.official import port
        from porting.pair import make_pair
        from porting.seeded import seeded_state
    state = seeded_state(SIZE.value)
    config = sam2_config(SIZE.value, IMAGE_SIZE.value, compute_dtype())
    pair = make_pair(SIZE.value, state, IMAGE_SIZE.value, port(state, config))
    device = torch_device()
    pair.reference.to(device)
    title = (
        f"{SIZE.value} at {config.image_size}x{config.image_size}, {compute_dtype()}, "
        f"{processor()}, jax {version('jax')}, "
        f"torch {version('torch')}"
    )
    figures, peak_flops = measure(pair, device), peak()
    show(title, figures, peak_flops)
    figures = {"title": title, "parts": figures, "peak_flops": peak_flops}
    setting = f"{SIZE.value}_{config.image_size}_{compute_dtype()}"
    record(setting, {"stages": figures})


if __name__ == "__main__":
    launch.run(main)
