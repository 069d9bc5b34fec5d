r"""What the programs of a video or a training would cost a GPU that is not there.

    python -m benchmarks.compiled --card=h100 --size=large --objects=1,4,16
    XLA_FLAGS=--xla_gpu_enable_triton_gemm=false \
        python -m benchmarks.compiled --card=a100 --size=large --training --devices=1,8

XLA compiles for a described card (benchmarks/cards/), without a GPU and its driver; the
compiled program is then read. Needs the extra `gpu-plan`. The table shows, for each
program: kernels per call, loops, gigabytes to and from the card's memory, FLOPs of
matrix products (those of fused attention included), temporary memory, arguments, and an
estimate: the sum over kernels of the longer of bytes / bandwidth and FLOPs / (60% of
the peak), and 2 microseconds for each launch. It is an estimate, not a time. For the
steps of a training these are the figures of one of its cards, and the gigabytes that
the cards exchange are shown too; the estimate leaves that time out. Fine-tuning needs
that flag (docs/training.md). --json keeps each program's figures as soon as they are
known, by the card, and whatever differs from the defaults: h100_base_plus_plain.
"""

import contextlib
import itertools
import os
from collections.abc import Callable, Iterator
from pathlib import Path

# Before JAX is imported: it would look for a GPU. XLA would time kernels on one, to
# choose the fastest.
os.environ["JAX_SKIP_CUDA_CONSTRAINTS_CHECK"] = "1"
os.environ["CUDA_VISIBLE_DEVICES"] = "-1"
os.environ["XLA_FLAGS"] = (
    os.environ.get("XLA_FLAGS", "") + " --xla_gpu_autotune_level=0"
)

import jax
import jax.numpy as jnp
from absl import flags
from jax._src import xla_bridge
from jax.experimental import topologies
from rich.console import Console
from rich.table import Table

from benchmarks.hlo_cost import Card, Cost, read_cost
from benchmarks.measures import check_json, record, whole_numbers
from c2g_jax.cli import launch
from c2g_jax.cli.paths import PATH
from c2g_jax.media.outputs import check_output

with launch.needing("gpu-plan"):
    import jax_plugins.xla_cuda12  # noqa: F401
    import tokamax

    from benchmarks.compiled_training import placed, training_programs
    from c2g_jax.sam2 import memory, track
    from c2g_jax.sam2.config import SIZES, Sam2Config, sam2_config
    from c2g_jax.sam2.fused_attention import FUSED, PLAIN
    from c2g_jax.sam2.model import abstract_sam2, for_inference, normalize_frames

_CARDS = {
    "h100": Card("H100 SXM", peak=989e12, bandwidth=3.35e12),
    "a100": Card("A100 80 GB SXM", peak=312e12, bandwidth=2.04e12),
}
_DTYPE = "bfloat16"  # the default on these cards
CARD = flags.DEFINE_enum("card", "h100", _CARDS, "The card to compile for.")
SIZE = flags.DEFINE_enum("size", "large", SIZES, "Size of SAM2.1.")
for _name in ("image_size", "dtype", "json"):
    flags.declare_key_flag(_name)
OBJECTS = flags.DEFINE_list("objects", ["1", "4"], "Numbers of objects to track.")
ATTENTION = flags.DEFINE_enum(
    "attention", FUSED, [FUSED, PLAIN], "Form of the programs, see Sam2Config."
)
TRAINING = flags.DEFINE_bool(
    "training", False, "Compile the steps of trainings instead of a video's programs."
)
DEVICES = flags.DEFINE_list(
    "devices", ["1", "8"], "Numbers of cards that train, in one host."
)
TOP = flags.DEFINE_integer("top", 0, "Also list this many of the longest kernels.", 0)
HLO = flags.DEFINE(PATH, "hlo", None, "Folder for the texts of the programs.")


def setting(dtype: str) -> str:
    """Return the key of the results: the card, and what is not as by default."""
    side = launch.IMAGE_SIZE.value
    parts = [
        CARD.value,
        SIZE.value * (SIZE.value != "large"),
        str(side) if side else "",
        dtype * (dtype != _DTYPE),
        ATTENTION.value * (ATTENTION.value != FUSED),
    ]
    return "_".join(filter(None, parts))


def mesh_of(card: str, devices: int = 1) -> jax.sharding.Mesh:
    """Return a mesh of described cards."""
    jax.devices("cpu")  # finds the plugin
    known = xla_bridge.canonicalize_platform

    def canonical(name: str) -> str:
        # Without a GPU "gpu" is the name of no platform (JAX's issue 23971).
        return "cuda" if name == "gpu" else known(name)

    # Kept for the rest of the process: lowering asks too.
    xla_bridge.canonicalize_platform = canonical
    described = topologies.get_topology_desc(
        platform="cuda",
        topology=f"1x1x{devices}",
        target_config=(Path(__file__).parent / "cards" / f"{card}.txtpb").read_text(),
    )
    return topologies.make_mesh(described, (devices,), ("data",))


@contextlib.contextmanager
def kernels_without_a_card() -> Iterator[None]:
    """Let tokamax lower its kernels for a card that is not JAX's default device."""
    with tokamax.config.cross_compile(True):
        yield


def video_programs(
    config: Sam2Config, counts: list[int], mesh: jax.sharding.Mesh
) -> Iterator[tuple[str, Callable, tuple]]:
    """Yield the name, function and abstract arguments of each program of a video."""
    whole = jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec())
    model = jax.eval_shape(for_inference, abstract_sam2(config))
    side = config.image_size
    frame = jax.ShapeDtypeStruct((side, side, 3), jnp.uint8)

    def encode(model, frame):
        return model.encode_image(normalize_frames(frame[None]))

    yield "encode", jax.jit(encode), placed((model, frame), whole)
    features = jax.eval_shape(encode, model, frame)
    index = jax.ShapeDtypeStruct((), jnp.int32)
    for n in counts:
        bank = jax.eval_shape(lambda n=n: memory.empty_bank(config, n))
        active = jax.ShapeDtypeStruct((n,), bool)
        arguments = (model, bank, features, index, active)
        step = jax.jit(lambda *given: track.track_step(*given))
        yield f"track_{n}", step, placed(arguments, whole)


def compile_and_read(
    name: str, function: Callable, arguments: tuple
) -> tuple[Cost, dict]:
    """Compile a jitted function; return its cost and figures for performance.json."""
    compiled = function.lower(*arguments).compile()
    text, held = compiled.as_text(), compiled.memory_analysis()
    if HLO.value:
        (Path(HLO.value) / f"{CARD.value}.{name}.hlo").write_text(text)
    cost = read_cost(text)
    exchanged = {k: round(v / 1e9, 3) for k, v in cost.collectives.items()}
    return cost, exchanged | dict(
        kernels=cost.count,
        loops=cost.loops,
        gigabytes=round(cost.moved / 1e9, 2),
        teraflops=round(cost.flops / 1e12, 3),
        temporary_gib=round(held.temp_size_in_bytes / 2**30, 3),
        arguments_gib=round(held.argument_size_in_bytes / 2**30, 3),
        estimate_ms=round(1e3 * cost.seconds(_CARDS[CARD.value]), 2),
    )


def show_longest(cost: Cost, card: Card, console: Console) -> None:
    """List the kernels that take most of the estimate."""
    longest = sorted(cost.kernels, key=lambda k: -k.seconds(card))
    for kernel in longest[: TOP.value]:
        console.print(
            f"  {1e6 * kernel.seconds(card):7.0f} us {kernel.moved / 1e6:7.1f} MB"
            f" {kernel.flops / 1e9:7.1f} GFLOP x{kernel.times} {kernel.name}"
            f" {kernel.origin[-70:]}",
            highlight=False,
            markup=False,
            soft_wrap=True,
        )


def main(argv) -> None:
    del argv
    check_json()
    if HLO.value:
        check_output(HLO.value, HLO.name)
        Path(HLO.value).mkdir(parents=True, exist_ok=True)
    counts, devices = whole_numbers(OBJECTS), whole_numbers(DEVICES)
    dtype, card = launch.DTYPE.value or _DTYPE, _CARDS[CARD.value]
    form = SIZE.value, launch.IMAGE_SIZE.value, dtype, ATTENTION.value
    config = sam2_config(*form)
    if TRAINING.value:
        side = launch.IMAGE_SIZE.value or "the configurations' size"
        programs = itertools.chain.from_iterable(
            training_programs(mesh_of(CARD.value, n), *form) for n in devices
        )
    else:
        side = config.image_size
        programs = video_programs(config, counts, mesh_of(CARD.value))
    title = (
        f"{SIZE.value} at {side}, {dtype}, {ATTENTION.value} attention, compiled for "
        f"{card.name}, not measured; jax {jax.__version__}"
    )
    table, console = Table(title=title), Console(width=150)
    table.add_column("program")
    found = {}
    with kernels_without_a_card():
        for name, function, arguments in programs:
            cost, found[name] = compile_and_read(name, function, arguments)
            console.print(f"{name}: {found[name]}", highlight=False, soft_wrap=True)
            show_longest(cost, card, console)
            record(setting(dtype), {name: found[name]}, device="compiled")
    headings = list(dict.fromkeys(key for row in found.values() for key in row))
    for heading in headings:
        table.add_column(heading.replace("_", ", "), justify="right")
    for name, row in found.items():
        table.add_row(name, *(f"{row.get(key, 0):,}" for key in headings))
    console.print(table)


if __name__ == "__main__":
    launch.run(main)
