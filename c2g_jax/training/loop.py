"""The training loop, which resumes bit for bit after a kill at any moment.

The device never waits for the host: step k is dispatched before the metrics of step
k - 1 are read, and a thread puts the next batches on the device. A checkpoint holds the
state, and the loader's position right after the last batch that the state has seen.
"""

import contextlib
import datetime
import logging
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
from flax import nnx
from jax.sharding import Mesh

from c2g_jax.checkpoints.orbax import save_step, saved_steps
from c2g_jax.checkpoints.processes import in_first_process
from c2g_jax.checkpoints.safetensors import digest
from c2g_jax.training import sharding
from c2g_jax.training import state as states
from c2g_jax.training.interrupt import Interrupt
from c2g_jax.training.metrics import MetricsLog, Window
from c2g_jax.training.optim import OptimConfig
from c2g_jax.training.prefetch import LoadedBatch, Prefetcher
from c2g_jax.training.state import SplitParams, Task, TrainState
from c2g_jax.training.step_trace import StepTrace, check_steps
from c2g_jax.training.workdir import CHECKPOINTS, WEIGHTS, resumable
from c2g_jax.types import InputError


@dataclass(frozen=True)
class LoopConfig:
    """Length of a run and intervals of its actions, in steps; 0 is never.

    Only `eval_every` and `export_every` may be 0.
    """

    steps: int
    seed: int = 0
    log_every: int = 50
    save_every: int = 500
    keep: int = 2
    eval_every: int = 0
    eval_batches: int = 8
    export_every: int = 0  # weights are always exported at the end

    def __post_init__(self):
        least = {"steps": 1, "log_every": 1, "save_every": 1, "keep": 1}
        least |= {"eval_every": 0, "eval_batches": 1, "export_every": 0}
        for name, bound in least.items():
            if getattr(self, name) < bound:
                raise InputError(f"{name} {getattr(self, name)}: give at least {bound}")


@dataclass
class Run:
    """A training run; call `train`.

    `loader` yields endless batches; its iterator also has get_state(), set_state() and
    close(). `export` writes a model to a folder. `config` is the configuration as JSON
    values; it must match the checkpoint's when a run resumes.
    """

    task: Task
    optim: OptimConfig
    loop: LoopConfig
    loader: Iterable[dict[str, Any]]
    eval_loader: Iterable[dict[str, Any]] | None
    export: Callable[[nnx.Module, Path, Mapping[str, Any]], None]
    config: Mapping[str, Any]
    workdir: Path
    mesh: Mesh
    profile: tuple[int, int] | None = None  # first and last step to trace

    def train(self) -> bool:
        """Train from the newest checkpoint to the last step; False if interrupted."""
        parts = states.split_params(self.task)
        states.describe(parts)
        frozen = digest(parts.frozen)
        state, loader_state = self._resume(parts, frozen)
        first = int(state.step)
        check_steps(self.profile, first, self.loop.steps)
        process = _TrainingProcess(self, parts, frozen, first)
        with contextlib.closing(process), Interrupt() as stop:
            return process.run(state, loader_state, stop)

    def _resume(self, parts: SplitParams, frozen: str) -> tuple[TrainState, Any]:
        """Return the train state and the loader's state to start from."""
        state = states.first_state(self.optim, parts, self.mesh)
        saved = resumable(self.workdir, self.config, frozen)
        if saved is None:
            return state, None
        source = str(self.workdir / CHECKPOINTS / str(saved.step))
        state = states.from_host(state, saved.values, self.mesh, source)
        return state, saved.manifest["loader"]


class _TrainingProcess:
    """A run in this process, from its first step to its last."""

    def __init__(self, run: Run, parts: SplitParams, frozen: str, first: int):
        self._run, self._parts, self._first, self._frozen = run, parts, first, frozen
        self._main = jax.process_index() == 0
        self._values = sharding.put_replicated(run.mesh, parts.frozen)
        args = (run.task, run.optim, parts, run.mesh, run.loop.seed)
        self._step = states.make_train_step(*args)
        self._evaluate = states.make_eval_step(run.task, parts, run.mesh, run.loop.seed)
        self._log = MetricsLog(run.workdir, first) if self._main else None
        self._window, self._began = Window(), time.perf_counter()
        self._saved = first if first in saved_steps(run.workdir / CHECKPOINTS) else -1
        traced = run.profile if self._main else None
        self._trace = StepTrace(traced, run.workdir / "profile")

    def close(self) -> None:
        self._trace.close()
        if self._log is not None:
            self._log.close()

    def run(self, state: TrainState, loader_state: Any, stop: Interrupt) -> bool:
        """Run all steps; True at the end, False if `stop` became true before."""
        loop = self._run.loop
        done = self._first
        if done < loop.steps:
            iterator = iter(self._run.loader)
            if loader_state is not None:
                iterator.set_state(_for_this_process(loader_state, iterator))
            batches = Prefetcher(
                iterator, lambda batch: sharding.put_batch(self._run.mesh, batch)
            )
            with contextlib.closing(batches):
                state, loader_state = self._steps(state, batches, loader_state, stop)
            done = int(state.step)
        if self._saved != done:
            self._save(done, state, loader_state)
        if done < loop.steps:
            logging.info(
                "stopped after step %d of %d: the checkpoint is kept, the same "
                "command resumes from it", done, loop.steps,
            )  # fmt: skip
            return False
        self._export(done, state)
        logging.info("done: %d steps, weights in %s", done, self._run.workdir / WEIGHTS)
        return True

    def _steps(
        self, state: TrainState, batches: Prefetcher, loader_state: Any, stop: Interrupt
    ) -> tuple[TrainState, Any]:
        loop, before = self._run.loop, None
        alone = jax.process_count() == 1
        ready, _ = batches.get(lambda: False, lambda: alone and bool(stop))
        for step in range(self._first, loop.steps):
            if ready is None or self._stops(step, stop):
                break
            self._trace.before(step)
            with jax.profiler.StepTraceAnnotation("train", step_num=step):
                state, metrics = self._step(state, self._values, ready.batch)
            loader_state = ready.loader
            self._read(before)
            before, ready = (step, metrics), None
            done = step + 1
            if done < loop.steps:
                ready = self._next(batches, metrics, stop)
            due = _due(done, loop.save_every)
            if due or _due(done, loop.eval_every) or _due(done, loop.export_every):
                self._read(before)
                before = None
                if due:
                    self._save(done, state, loader_state)
                if _due(done, loop.eval_every):
                    self._validate(done, state)
                if _due(done, loop.export_every) and done < loop.steps:
                    self._export(done, state)
        self._read(before)
        return state, loader_state

    def _stops(self, step: int, stop: Interrupt) -> bool:
        """Whether to stop before this step; all processes stop at the same step."""
        if jax.process_count() == 1:
            return bool(stop)
        return step % self._run.loop.log_every == 0 and sharding.any_process(bool(stop))

    def _next(
        self, batches: Prefetcher, metrics, stop: Interrupt
    ) -> LoadedBatch | None:
        loss, alone = metrics[states.LOSS], jax.process_count() == 1
        ready, waited = batches.get(loss.is_ready, lambda: alone and bool(stop))
        self._window.wait(waited)
        return ready

    def _read(self, sent: tuple[int, Any] | None) -> None:
        """Wait for the metrics of a dispatched step, and log them when due."""
        if sent is None:
            return
        step, metrics = sent
        read = jax.device_get(metrics)
        row = {name: float(read[name]) for name in (states.LOSS, *read)}  # loss first
        if wrong := states.not_finite(row):
            steps = saved_steps(self._run.workdir / CHECKPOINTS)
            kept = f"the checkpoint of step {steps[-1]}" if steps else "no checkpoint"
            raise InputError(
                f"step {step + 1}: {wrong}; {kept} is kept: lower config.lr or "
                "config.clip_norm, or raise config.warmup, and run again"
            )
        self._window.add(row)
        done, loop = step + 1, self._run.loop
        if step == self._first:  # it includes compilation, so it is not timed
            seconds = time.perf_counter() - self._began
            logging.info("first step after %.1f s", seconds)
            self._window.restart()
            self._began = time.perf_counter()
        if _due(done, loop.log_every) or done == loop.steps:
            self._report(done)

    def _report(self, done: int) -> None:
        values = self._window.close()
        if self._log is None:
            return
        self._log.write(done, values)
        pace = (time.perf_counter() - self._began) / max(done - self._first - 1, 1)
        left = datetime.timedelta(seconds=round(pace * (self._run.loop.steps - done)))
        hidden = ("steps_per_second", "data_wait")
        numbers = " ".join(f"{k} {v:.4g}" for k, v in values.items() if k not in hidden)
        logging.info(
            "step %d/%d %s | %.3g steps/s, data wait %.0f%%, %s left",
            done, self._run.loop.steps, numbers, values["steps_per_second"],
            100 * values["data_wait"], left,
        )  # fmt: skip

    def _validate(self, done: int, state: TrainState) -> None:
        """Log means over the first validation batches, the same ones every time."""
        loader = self._run.eval_loader
        if loader is None:
            return
        params = state.params if state.ema is None else state.ema
        rows = []
        with contextlib.closing(iter(loader)) as batches:
            numbers = range(self._run.loop.eval_batches)
            for number, batch in zip(numbers, batches, strict=False):
                batch = sharding.put_batch(self._run.mesh, batch)
                rows.append(self._evaluate(params, self._values, batch, number))
                if number:  # at most one batch ahead, to bound memory
                    jax.block_until_ready(rows[number - 1])
        rows = jax.device_get(rows)
        names = (states.LOSS, *rows[0])
        means = {f"val/{k}": float(sum(r[k] for r in rows) / len(rows)) for k in names}
        if self._log is not None:
            self._log.write(done, means)
        text = " ".join(f"{name} {value:.4g}" for name, value in means.items())
        logging.info("step %d %s", done, text)

    def _save(self, done: int, state: TrainState, loader_state: Any) -> None:
        began = time.perf_counter()
        manifest = {
            "config": self._run.config,
            "frozen": self._frozen,
            "loader": loader_state,
        }
        folder, keep = self._run.workdir / CHECKPOINTS, self._run.loop.keep
        save_step(folder, done, states.to_host(state), manifest, keep)
        logging.info("saved step %d in %.2f s", done, time.perf_counter() - began)
        self._saved = done

    def _export(self, done: int, state: TrainState) -> None:
        """Export the whole model, with averaged parameters if there is an EMA."""
        params = jax.device_get(state.params if state.ema is None else state.ema)
        manifest = {"training": {"step": done, "config": self._run.config}}
        folder = self._run.workdir / WEIGHTS

        def write() -> None:
            self._run.export(self._parts.whole(params), folder, manifest)

        in_first_process(write)


def _due(done: int, every: int) -> bool:
    return every > 0 and done % every == 0


def _for_this_process(state: Any, iterator: Any) -> Any:
    """Return the loader state, saved by the first process, with this one's shard."""
    if jax.process_count() == 1:
        return state
    return {**state, "shard": iterator.get_state()["shard"]}
