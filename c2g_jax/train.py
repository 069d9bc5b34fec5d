"""Train SAM2.1, or Click2Graph around a frozen one; resumes an interrupted run.

    python -m c2g_jax.train --config=configs/toy_pvsg.py --workdir=runs/toy

Every field of the configuration can be overridden, as in --config.lr.sch=1e-3. The run
writes to its folder

    checkpoints/STEP    the newest train states, to resume from
    weights/            the model for use: predict --checkpoint=WORKDIR/weights
    heads.safetensors   its DIDM and SCH alone: predict --heads, with a SAM2.1
    metrics.jsonl, tensorboard/    losses by name, learning rates, speed
    compiled/           compiled programs, so that a resumed run starts at once

The same command resumes from the newest checkpoint, even after a kill, and ends with
exactly the same parameters. Ctrl-C finishes the current step and saves a checkpoint.
"""

import logging
import re
from collections.abc import Sequence
from pathlib import Path

import jax
from absl import flags

from c2g_jax.cli import launch
from c2g_jax.cli.compiled import keep_compiled
from c2g_jax.cli.paths import PATH
from c2g_jax.media.outputs import check_output, disk_is_full
from c2g_jax.training import sharding
from c2g_jax.types import InputError

with launch.needing("train"):
    from c2g_jax.training import tasks
    from c2g_jax.training.config_files import (
        CONFIG,
        MULTIHOST,
        check_finite,
        check_overrides,
        to_json,
    )
    from c2g_jax.training.loop import Run
    from c2g_jax.training.workdir import locked, unless_refused

WORKDIR = flags.DEFINE(PATH, "workdir", None, "Folder of the run; created if missing.")
for _name in ("config", "multihost", "compilation_cache"):
    flags.declare_key_flag(_name)
PROFILE_STEPS = flags.DEFINE_string(
    "profile_steps", None, "FIRST:LAST: steps to trace into WORKDIR/profile."
)


def main(argv: Sequence[str]) -> None:
    del argv
    if not WORKDIR.value:
        raise InputError("--workdir is missing: name a folder for the run")
    workdir, profile = Path(WORKDIR.value), read_steps(PROFILE_STEPS.value)
    check_output(workdir, "workdir")
    check_finite(CONFIG.value)
    with unless_refused(workdir):
        keep_compiled(workdir / "compiled")
        if MULTIHOST.value:
            sharding.start_multihost()
        with locked(workdir, jax.process_index()):
            if not train(workdir, profile):
                raise KeyboardInterrupt


def train(workdir: Path, profile: tuple[int, int] | None) -> bool:
    """Train as --config says; False if interrupted."""
    config, mesh = CONFIG.value, sharding.data_mesh()
    optim, loop = tasks.optim_config(config), tasks.loop_config(config)
    local = sharding.local_batch_size(mesh, config.batch_size)
    prepared = tasks.prepare_task(config, local)
    kind = mesh.devices.flat[0].device_kind
    logging.info("on %d x %s; the first step compiles for minutes", mesh.size, kind)
    run = Run(
        prepared.task,
        optim,
        loop,
        prepared.loader,
        prepared.eval_loader,
        prepared.export,
        to_json(config),
        workdir,
        mesh,
        profile,
    )
    try:
        return run.train()
    except OSError as error:
        if not disk_is_full(error):
            raise
        raise InputError(
            f"no space left for {error.filename or workdir}: make room and run the "
            "same command, which resumes from the newest checkpoint"
        ) from error


def read_steps(text: str | None) -> tuple[int, int] | None:
    """Parse --profile_steps."""
    if text is None:
        return None
    found = re.fullmatch(r"(\d+):(\d+)", text)
    if not found or int(found[1]) > int(found[2]):
        raise InputError(f"--profile_steps={text}: write FIRST:LAST, such as 10:15")
    return int(found[1]), int(found[2])


def run() -> None:
    """Start the program; overrides are checked before --config is read."""
    launch.run(main, check_overrides)


if __name__ == "__main__":
    run()
