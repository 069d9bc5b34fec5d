"""Timing, memory and recording of results, shared by the benchmarks."""

import json
import os
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import jax
from absl import flags

from c2g_jax.cli.paths import PATH
from c2g_jax.media.outputs import check_output, write_text
from c2g_jax.types import InputError

JSON = flags.DEFINE(
    PATH,
    "json",
    None,
    "JSON file to add the results to; other results in it are kept.",
)


def seconds(action: Callable) -> float:
    """Return the seconds of a call, until its result is ready on the device."""
    begun = time.perf_counter()
    jax.block_until_ready(action())
    return time.perf_counter() - begun


def ratio(times: Mapping[str, Sequence[float]], peer: str = "sam2") -> float:
    """Return the median of "ours" divided by the median of a peer."""
    return statistics.median(times["ours"]) / statistics.median(times[peer])


def processor() -> str:
    """Return the name of JAX's device; for a CPU also cores and vector extension."""
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
    """Return the resident memory of this process and its children."""
    threads = Path("/proc/self/task").glob("*/children")  # of each thread
    children = [pid for file in threads for pid in file.read_text().split()]
    total = 0
    for pid in ("self", *children):
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
        total += sum(int(s.split()[1]) for s in lines if s.startswith("VmRSS"))
    return total / 1024


def whole_numbers(flag: flags.FlagHolder, least: int = 1) -> list[int]:
    """Return the distinct integers of a list flag.

    Raises InputError if the list is empty or an item is not an integer >= `least`.
    """
    words = [word.strip() for word in flag.value]
    # int() accepts too much: 1_0, or a minus sign.
    if words and all(word.isdecimal() and int(word) >= least for word in words):
        return list(dict.fromkeys(map(int, words)))
    raise InputError(
        f"--{flag.name}={','.join(flag.value)}: give whole numbers from {least}, as "
        + ",".join(flag.default)
    )


def check_json() -> None:
    """Raise InputError if --json cannot be written; call before measuring."""
    if JSON.value:
        check_output(JSON.value, JSON.name, kind="file")
        read_results(Path(JSON.value))


def read_results(file: Path) -> dict:
    """Return the results in a file, none if it is missing; or InputError."""
    if not file.exists():
        return {}
    try:
        document = json.loads(file.read_text("utf-8"))
        by_device = isinstance(document, dict) and all(
            isinstance(part, dict) for part in document.values()
        )
    except (ValueError, RecursionError):
        by_device = False
    if not by_device:
        raise InputError(
            f"--json={file}: holds no results of benchmarks: name another file"
        )
    return document


def record(setting: str, figures: dict, device: str | None = None) -> None:
    """Merge figures into [device][setting] of the file --json, if given.

    device: by default JAX's backend, "cpu" or "gpu". Other content of the file is kept.
    """
    if not JSON.value:
        return
    file, device = Path(JSON.value), device or jax.default_backend()
    document = read_results(file)
    document.setdefault(device, {}).setdefault(setting, {}).update(figures)
    text = json.dumps(document, indent=2) + "\n"
    write_text(file, text)
