"""Worker processes: order of results, errors, and their end with the parent.

Workers import this module to find `_sleep`, so it must not import TFDS or JAX.
"""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from open_pvsg import workers

from tests.commands import ROOT

_PARENT = """
import os, sys, time
sys.path.insert(0, "datasets")
from open_pvsg import workers
if __name__ == "__main__":
    # Two workers are still in `time.sleep` when this process ends.
    for _ in workers.run_tasks(time.sleep, [0, 0, 60, 60], 2):
        print(flush=True)
"""
needs_proc = pytest.mark.skipif(
    not Path("/proc").is_dir(), reason="looks for processes in /proc"
)


def _sleep(seconds):
    time.sleep(seconds)
    return seconds


def test_results_keep_the_order_and_errors_are_raised():
    results = workers.run_tasks(_sleep, [0.2, 0, 0.1, None], 2)
    assert [next(results) for _ in range(3)] == [0.2, 0, 0.1]
    with pytest.raises(TypeError):
        next(results)


def started(tmp_path, **options) -> subprocess.Popen:
    script = tmp_path / "parent.py"
    script.write_text(_PARENT)
    return subprocess.Popen(
        [sys.executable, script],
        cwd=ROOT,
        text=True,
        stdout=subprocess.PIPE,
        **options,
    )


def children_of(pid: int) -> list[int]:
    path = Path(f"/proc/{pid}/task/{pid}/children")
    return [int(child) for child in path.read_text().split()]


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return "Z" not in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2]


@needs_proc
def test_workers_end_with_the_process_that_started_them(tmp_path):
    parent = started(tmp_path)
    parent.stdout.readline()
    children = children_of(parent.pid)
    assert len(children) >= 2
    parent.kill()
    parent.wait()
    deadline = time.monotonic() + 20
    while any(alive(child) for child in children):
        assert time.monotonic() < deadline, "workers outlived their parent"
        time.sleep(0.05)


@needs_proc
def test_an_interrupt_ends_workers_silently(tmp_path):
    """SIGINT to the whole process group, as a terminal sends it."""
    parent = started(tmp_path, start_new_session=True, stderr=subprocess.PIPE)
    parent.stdout.readline()
    parent.stdout.readline()  # both workers have finished their first task
    os.killpg(parent.pid, signal.SIGINT)
    _, words = parent.communicate(timeout=30)
    assert words.count("Traceback") == 1  # of the parent, which does not catch it
    assert words.splitlines()[-1] == "KeyboardInterrupt"
