"""Processes of a build end with the one that started them, however it ends."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.commands import ROOT

_PARENT = """
import os, sys, time
sys.path.insert(0, "datasets")
from open_pvsg import workers
if __name__ == "__main__":
    # `time.sleep` in two workers, which this process will not live to see.
    for _ in workers.run_tasks(time.sleep, [0, 0, 60, 60], 2):
        print(flush=True)
"""
pytestmark = pytest.mark.skipif(
    not Path("/proc").is_dir(), reason="looks for processes in /proc"
)


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


def test_an_interrupt_ends_workers_without_a_word(tmp_path):
    """As a terminal sends it, to the whole group."""
    parent = started(tmp_path, start_new_session=True, stderr=subprocess.PIPE)
    parent.stdout.readline()
    parent.stdout.readline()  # both workers are through their first task
    os.killpg(parent.pid, signal.SIGINT)
    _, words = parent.communicate(timeout=30)
    assert words.count("Traceback") == 1  # this process's own, which no main caught
    assert words.splitlines()[-1] == "KeyboardInterrupt"
