"""Time of a training step: the step itself, its image encoder, and the loop.

    python -m benchmarks.training --config=configs/toy_pvsg.py --config.data.dir=data

Three measurements in one run: the step alone, on one batch repeated; the forward pass
of the image encoder on the frames of that batch, which is the cost of a frozen encoder;
and the training loop as in `train`, with data loading, logging and checks but without
checkpoints. The overhead of the loop is the difference; `data_wait` is the share of
time in which the device waited for a batch.
"""

import dataclasses
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
from absl import flags
from rich.console import Console
from rich.table import Table

from benchmarks.measures import check_json, record
from c2g_jax.cli import launch

with launch.needing("train"):
    from c2g_jax.sam2.model import normalize_frames
    from c2g_jax.training import sharding, tasks
    from c2g_jax.training import state as states
    from c2g_jax.training.config_files import CONFIG, check_overrides, to_json
    from c2g_jax.training.loop import Run
    from c2g_jax.training.metrics import JSONL, read_metrics

flags.declare_key_flag("config")
STEPS = flags.DEFINE_integer("steps", 20, "Steps per measurement.", lower_bound=2)
flags.declare_key_flag("json")


def seconds(run: Callable[[], Any]) -> float:
    """Return mean seconds per call, after a first call that compiles."""
    jax.block_until_ready(run())
    begun = time.perf_counter()
    for _ in range(STEPS.value):
        last = run()
    jax.block_until_ready(last)
    return (time.perf_counter() - begun) / STEPS.value


def measure_step(run: Run) -> dict[str, float]:
    """Return seconds of the step and of the encoder on the frames of its batch."""
    parts = states.split_params(run.task)
    state = states.first_state(run.optim, parts, run.mesh)
    frozen = sharding.put_replicated(run.mesh, parts.frozen)
    iterator = iter(run.loader)
    batch = sharding.put_batch(run.mesh, next(iterator))
    iterator.close()
    step = states.make_train_step(run.task, run.optim, parts, run.mesh, run.loop.seed)

    def once():
        nonlocal state
        state, metrics = step(state, frozen, batch)
        return metrics

    model = run.task.model
    sam2 = getattr(model, "sam2", model)
    frames = batch["frames"].reshape(-1, *batch["frames"].shape[2:])
    encode = jax.jit(lambda sam2, x: sam2.encode_image(normalize_frames(x)))
    return {"step": seconds(once), "encoder": seconds(lambda: encode(sam2, frames))}


def measure_loop(run: Run) -> dict[str, float]:
    """Return seconds per step in the loop, and the share of time waiting for data."""
    run.train()
    (row,) = read_metrics(run.workdir / JSONL)
    return {"loop": 1 / row["steps_per_second"], "data_wait": row["data_wait"]}


def main(argv) -> None:
    del argv
    check_json()
    config, mesh = CONFIG.value, sharding.data_mesh()
    made = tasks.prepare_task(
        config, sharding.local_batch_size(mesh, config.batch_size)
    )
    steps = STEPS.value + 1  # the first step compiles and is not counted
    loop = dataclasses.replace(
        tasks.loop_config(config), steps=steps, log_every=steps, save_every=10 * steps,
        eval_every=0, export_every=0,
    )  # fmt: skip
    with tempfile.TemporaryDirectory() as scratch:
        (workdir := Path(scratch) / "run").mkdir()
        jax.config.update("jax_compilation_cache_dir", str(Path(scratch) / "compiled"))
        run = Run(
            made.task,
            tasks.optim_config(config),
            loop,
            made.loader,
            None,
            lambda *_: None,
            to_json(config),
            workdir,
            mesh,
        )
        figures = measure_step(run) | measure_loop(run)
    figures["overhead"] = figures["loop"] / figures["step"] - 1
    show(figures, f"{mesh.size} x {jax.devices()[0].device_kind}")
    record("training", figures | {"size": config.sam2.size})


def show(figures: dict[str, float], device: str) -> None:
    table = Table(title=f"{STEPS.value} steps, {device}")
    for heading in ("", "ms", "of the step"):
        table.add_column(heading, justify="right" if heading else "left")
    names = {"step": "step", "encoder": "encoder, forward", "loop": "step in the loop"}
    for key, name in names.items():
        share = figures[key] / figures["step"]
        table.add_row(name, f"{1000 * figures[key]:.1f}", f"{share:.2f}")
    console = Console(width=88)
    console.print(table)
    console.print(
        f"the loop adds {figures['overhead']:.1%}; the device waited for data "
        f"{figures['data_wait']:.1%} of the time"
    )


if __name__ == "__main__":
    launch.run(main, check_overrides)
