"""Seconds per frame of video, compared with other implementations of SAM2.1.

    python -m benchmarks.video --size=tiny --objects=1,4 --rounds=5 \
        --against=sam2,sam2-compiled,transformers

All implementations get the same seeded weights, prompts and frames. On a CPU --dtype
applies to ours only, and PyTorch computes in float32; on a GPU it autocasts to the same
type. Encoding a frame and tracking a frame (with a full memory bank)
are timed separately, once per interleaved round, so --frames is an alias of --rounds.
The table shows median (min-max) and the ratio of medians. The first calls, which
compile, are timed separately. Peak memory, of the GPU or else of the process, is
measured in one process per implementation.
"""

import json
import statistics
import subprocess
import sys
from importlib.metadata import version

import jax
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
from benchmarks.peers import PEERS, Implementation, ours, peer
from c2g_jax.checkpoints.safetensors import initialise
from c2g_jax.cli import launch
from c2g_jax.cli.launch import IMAGE_SIZE, compute_dtype
from c2g_jax.sam2.config import SIZES, sam2_config
from c2g_jax.sam2.model import abstract_sam2
from c2g_jax.types import InputError
from porting.scenes import draw_video

SIZE = flags.DEFINE_enum("size", "tiny", SIZES, "Size of SAM2.1.")
for _name in ("image_size", "dtype"):
    flags.declare_key_flag(_name)
flags.DEFINE_alias("resolution", "image_size")
OBJECTS = flags.DEFINE_list("objects", ["1", "4"], "Numbers of objects to track.")
ROUNDS = flags.DEFINE_integer("rounds", 5, "Interleaved rounds.", lower_bound=1)
flags.DEFINE_alias("frames", "rounds")
flags.declare_key_flag("json")
AGAINST = flags.DEFINE_list(
    "against", ["sam2"], f"Implementations to compare with, of {', '.join(PEERS)}."
)
SIDE = flags.DEFINE_enum(
    "side",
    None,
    ["ours", *PEERS],
    "Run this implementation alone, print its peak memory.",
)

_FULL = 8  # frames until the memory bank is full (1 prompted, 6 recent)


def measure(sides: dict[str, Implementation]) -> dict[str, dict]:
    """Return {"seconds", "first_seconds"}: {stage: {implementation: ...}}."""
    stages, first = {}, {}
    actions = {"encode": {name: side.encode for name, side in sides.items()}}
    for name, encode in actions["encode"].items():
        first.setdefault("encode", {})[name] = seconds(encode)
    for count in whole_numbers(OBJECTS):
        stage = f"track, {count} object" + "s" * (count > 1)
        actions[stage], first[stage] = {}, {}
        for name, side in sides.items():
            masks = side.track(count)
            next(masks)
            first[stage][name] = seconds(lambda masks=masks: next(masks))
            for _ in range(_FULL - 2):
                next(masks)
            actions[stage][name] = lambda masks=masks: next(masks)
    for _ in range(ROUNDS.value):
        for stage, calls in actions.items():
            times = stages.setdefault(stage, {name: [] for name in calls})
            for name, call in calls.items():
                times[name].append(seconds(call))
    return {"seconds": stages, "first_seconds": first}


def measure_side(name: str, frames: np.ndarray) -> None:
    """Encode and track with the most objects; print the peak memory."""
    if name == "ours":
        config = sam2_config(SIZE.value, IMAGE_SIZE.value, compute_dtype())
        side = ours(initialise(abstract_sam2(config), 0), frames)
    else:
        from porting.pair import Clip, Pair
        from porting.reference import build_reference

        reference = build_reference(SIZE.value, IMAGE_SIZE.value)
        config = sam2_config(SIZE.value, IMAGE_SIZE.value)
        side = peer(name, Clip(Pair(config, None, reference), frames), compute_dtype())
    masks = side.track(max(whole_numbers(OBJECTS)))
    for _ in range(_FULL):
        next(masks)
    print(json.dumps({"gigabytes": _peak_bytes(name) / 2**30}))


def _peak_bytes(name: str) -> int:
    """Return this process's peak memory, on a GPU the device's."""
    if jax.default_backend() == "cpu":
        # Not getrusage: its peak is inherited from the parent process.
        with open("/proc/self/status", encoding="ascii") as file:
            peak = next(line for line in file if line.startswith("VmHWM"))
        return int(peak.split()[1]) * 1024
    if name == "ours":
        return jax.devices()[0].memory_stats()["peak_bytes_in_use"]
    import torch

    return torch.cuda.max_memory_allocated()


def peak_memory(side: str) -> float:
    """Return peak gigabytes of a process that runs one implementation."""
    command = [sys.executable, "-m", "benchmarks.video", f"--side={side}"]
    command += [f"--size={SIZE.value}", f"--objects={','.join(OBJECTS.value)}"]
    command.append(f"--dtype={compute_dtype()}")
    if IMAGE_SIZE.value:
        command.append(f"--image_size={IMAGE_SIZE.value}")
    result = subprocess.run(command, check=True, capture_output=True, text=True)
    return json.loads(result.stdout.splitlines()[-1])["gigabytes"]


def ratios(stages: dict[str, dict]) -> dict[str, float]:
    """Return ratios of our medians to those of `sam2`, named for performance.json."""
    found = {}
    for stage, sides in stages.items():
        name = "encoder" if stage == "encode" else f"track_{stage.split()[1]}"
        found[f"{name}_vs_torch"] = round(ratio(sides), 3)
    return found


def show(figures: dict) -> None:
    """Print seconds of each implementation and the ratio to each peer."""
    memory = figures["peak_gigabytes"]
    against = [name for name in memory if name != "ours"]
    table = Table(title=figures["title"])
    table.add_column("stage")
    for heading in (*memory, *(f"ours / {name}" for name in against), "first, s"):
        table.add_column(heading, justify="right")
    for stage, sides in figures["seconds"].items():
        times = [
            f"{statistics.median(each):.3f} ({min(each):.3f}-{max(each):.3f})"
            for each in sides.values()
        ]
        shares = [f"{ratio(sides, name):.2f}" for name in against]
        first = " ".join(f"{x:.0f}" for x in figures["first_seconds"][stage].values())
        table.add_row(stage, *times, *shares, first)
    sizes = [f"{value:.2f} GB" for value in memory.values()]
    shares = [f"{memory['ours'] / memory[name]:.2f}" for name in against]
    table.add_row("peak memory", *sizes, *shares, "")
    Console(width=160).print(table)


def main(argv) -> None:
    del argv
    check_json()
    whole_numbers(OBJECTS)  # refuse bad input before building models
    config = sam2_config(SIZE.value, IMAGE_SIZE.value, compute_dtype())
    unknown = [name for name in AGAINST.value if name not in PEERS]
    if unknown or not AGAINST.value:
        named = ",".join(AGAINST.value)
        raise InputError(f"--against={named}: use some of {', '.join(PEERS)}")
    # One frame, repeated for all rounds.
    frames = np.repeat(draw_video(1, 480, 640), _FULL + ROUNDS.value + 2, axis=0)
    if SIDE.value:
        measure_side(SIDE.value, frames)
        return
    with launch.needing("port"):
        from porting.official import port
        from porting.pair import Clip, make_pair
        from porting.seeded import seeded_state
    if "transformers" in AGAINST.value:
        with launch.needing("bench"):
            import transformers  # noqa: F401

    state = seeded_state(SIZE.value)
    pair = make_pair(SIZE.value, state, IMAGE_SIZE.value, port(state, config))
    side, clip = config.image_size, Clip(pair, frames)
    same = compute_dtype() == "float32" or jax.default_backend() != "cpu"
    mixed = "" if same else " (the others: float32)"
    title = (
        f"{SIZE.value} at {side}x{side}, {compute_dtype()}{mixed}, {processor()},"
        f" jax {version('jax')}, torch {version('torch')}, {ROUNDS.value} rounds"
    )
    sides = {"ours": ours(pair.ours, frames)}
    sides |= {name: peer(name, clip, compute_dtype()) for name in AGAINST.value}
    figures = {"title": title, **measure(sides)}
    figures["peak_gigabytes"] = {name: peak_memory(name) for name in sides}
    show(figures)
    named = ratios(figures["seconds"]) if "sam2" in sides else {}
    record(f"{SIZE.value}_{side}_{compute_dtype()}", {**named, "video": figures})


if __name__ == "__main__":
    launch.run(main)
