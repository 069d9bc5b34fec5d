"""What the benchmarks measure with, and where they write it down."""

import json
import os
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import jax
from absl import flags

from c2g_jax.media.outputs import check_output, write_text
from c2g_jax.types import InputError

JSON = flags.DEFINE_string(
    "json", None, "File for the figures, kept beside those of other runs in it."
)


def seconds(action: Callable) -> float:
    """How long a call takes, until what it returns is there."""
    begun = time.perf_counter()
    jax.block_until_ready(action())
    return time.perf_counter() - begun


def ratio(times: Mapping[str, Sequence[float]], peer: str = "sam2") -> float:
    """Median of "ours" over the median of a peer."""
    return statistics.median(times["ours"]) / statistics.median(times[peer])


def processor() -> str:
    """Name of what JAX runs on; of a CPU also its cores and its widest vectors."""
    device = jax.devices()[0]
    if device.platform != "cpu" or not Path("/proc/cpuinfo").exists():
        return device.device_kind
    lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
    about = {key.strip(): value for key, _, value in (x.partition(":") for x in lines)}
    known = about.get("flags", "").split()
    vectors = next((v for v in ("avx512f", "avx2", "avx") if v in known), "no AVX")
    return (
        f"{about.get('model name', 'CPU').strip()}, {os.cpu_count()} cores, {vectors}"
    )


def resident_megabytes() -> float:
    """Memory in use by this process and those it started."""
    threads = Path("/proc/self/task").glob("*/children")  # each lists those it started
    children = [pid for file in threads for pid in file.read_text().split()]
    total = 0
    for pid in ("self", *children):
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
        total += sum(int(s.split()[1]) for s in lines if s.startswith("VmRSS"))
    return total / 1024


def whole_numbers(flag: flags.FlagHolder, least: int = 1) -> list[int]:
    """The numbers of a list flag, each once; InputError unless all are `least` or more.

    An empty list is refused too.
    """
    words = [word.strip() for word in flag.value]
    # Python's own int reads more than people mean: 1_0, or a minus.
    if words and all(word.isdecimal() and int(word) >= least for word in words):
        return list(dict.fromkeys(map(int, words)))
    raise InputError(
        f"--{flag.name}={','.join(flag.value)}: give whole numbers from {least}, as "
        + ",".join(flag.default)
    )


def check_json() -> None:
    """InputError where --json cannot be written, before the work is done for it."""
    if JSON.value:
        check_output(JSON.value, JSON.name, kind="file")


def record(setting: str, figures: dict) -> None:
    """Put figures under [device][setting] of --json, if any; what else it holds stays.

    The device is JAX's: "cpu" or "gpu".
    """
    if not JSON.value:
        return
    file, device = Path(JSON.value), jax.default_backend()
    document = json.loads(file.read_text("utf-8")) if file.exists() else {}
    document.setdefault(device, {}).setdefault(setting, {}).update(figures)
    text = json.dumps(document, indent=2) + "\n"
    write_text(file, text)
