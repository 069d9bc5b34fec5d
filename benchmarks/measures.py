"""What the benchmarks measure with."""

import time
from collections.abc import Callable
from pathlib import Path

import jax


def seconds(action: Callable) -> float:
    """How long a call takes, until what it returns is there."""
    begun = time.perf_counter()
    jax.block_until_ready(action())
    return time.perf_counter() - begun


def resident_megabytes() -> float:
    """Memory in use by this process and those it started."""
    threads = Path("/proc/self/task").glob("*/children")  # each lists those it started
    children = [pid for file in threads for pid in file.read_text().split()]
    total = 0
    for pid in ("self", *children):
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
        total += sum(int(s.split()[1]) for s in lines if s.startswith("VmRSS"))
    return total / 1024
