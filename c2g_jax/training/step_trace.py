"""Trace some steps of a run with JAX's profiler."""

import logging
from pathlib import Path

import jax

from c2g_jax.types import InputError


def check_steps(steps: tuple[int, int] | None, begin: int, end: int) -> None:
    """Raise InputError unless the first step to trace is in `begin` to `end` - 1."""
    if steps is not None and not begin <= steps[0] < end:
        first, last = steps
        raise InputError(
            f"--profile_steps={first}:{last}: this run has the steps {begin} to "
            f"{end - 1}: start at one of them"
        )


class StepTrace:
    """Traces the steps (first, last) of `steps`, if any, into a folder."""

    def __init__(self, steps: tuple[int, int] | None, folder: Path):
        self._steps, self._folder, self._tracing = steps, folder, False

    def before(self, step: int) -> None:
        """Start or stop the trace before this step."""
        if self._steps is None:
            return
        first, last = self._steps
        if step == first and not self._tracing:
            jax.profiler.start_trace(str(self._folder))
            self._tracing = True
        elif step > last:
            self.close()

    def close(self) -> None:
        """Stop the trace, if it is running."""
        if self._tracing:
            jax.profiler.stop_trace()
            self._tracing = False
            first, last = self._steps
            logging.info("traced steps %d to %d in %s", first, last, self._folder)
