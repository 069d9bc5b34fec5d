"""Metrics of a run: metrics.jsonl, and TensorBoard events made from it."""

import json
import time
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from tensorboardX import SummaryWriter

from c2g_jax.media.json_lines import read_lines
from c2g_jax.media.outputs import write_text

JSONL, EVENTS = "metrics.jsonl", "tensorboard"


class MetricsLog:
    """Appends lines to metrics.jsonl and TensorBoard.

    On resuming at `step`, lines of later steps are dropped. Event files cannot be
    truncated, so they are rewritten from the remaining lines.
    """

    def __init__(self, workdir: Path, step: int):
        self._path = workdir / JSONL
        lines = [line for line in read_metrics(self._path) if line["step"] <= step]
        kept = "".join(_line(line) for line in lines)
        write_text(self._path, kept)
        events = workdir / EVENTS
        for old in events.glob("events.*"):
            old.unlink()
        self._events = SummaryWriter(str(events), flush_secs=30)
        for line in lines:
            self._add(line)
        self._file = self._path.open("a", encoding="utf-8")

    def write(self, step: int, values: Mapping[str, float]) -> None:
        """Write the metrics of a step."""
        line = {"step": step, "time": round(time.time(), 3), **values}
        self._file.write(_line(line))
        self._file.flush()
        self._add(line)

    def close(self) -> None:
        self._file.close()
        self._events.close()

    def _add(self, line: Mapping[str, float]) -> None:
        for name, value in line.items():
            if name not in ("step", "time"):
                self._events.add_scalar(name, value, line["step"], line["time"])


def read_metrics(path: Path) -> list[dict[str, float]]:
    """Read a metrics.jsonl, without a last line that a kill cut short."""
    if not path.exists():
        return []
    return read_lines(path, "move it away")


def _line(values: Mapping[str, float]) -> str:
    return json.dumps(values) + "\n"


class Window:
    """Means of the metrics since the last log line, and the speed."""

    def __init__(self):
        self._rows: list[dict[str, float]] = []
        self.restart()

    def add(self, row: dict[str, float]) -> None:
        """Add the metrics of one step."""
        self._rows.append(row)
        self._steps += 1

    def wait(self, seconds: float) -> None:
        """Add time in which the device waited for data."""
        self._waited += seconds

    def restart(self) -> None:
        """Restart the clock and the count of steps."""
        self._since, self._waited, self._steps = time.perf_counter(), 0.0, 0

    def close(self) -> dict[str, float]:
        """Return means by name, steps_per_second and data_wait (a share); then reset.

        Learning rates ("lr/...") are the last ones, not means.
        """
        now = time.perf_counter()
        seconds = max(now - self._since, 1e-9)
        names = self._rows[0] if self._rows else ()
        means = {n: float(np.mean([row[n] for row in self._rows])) for n in names}
        means |= {n: self._rows[-1][n] for n in names if n.startswith("lr/")}
        means["steps_per_second"] = self._steps / seconds
        means["data_wait"] = min(self._waited / seconds, 1.0)
        self._rows = []
        self.restart()
        return means
