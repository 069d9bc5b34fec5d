"""The folder of a run: its lock, and the checkpoint that a run resumes from."""

import contextlib
import fcntl
import logging
import os
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from c2g_jax.checkpoints.orbax import load_step, saved_steps, set_aside
from c2g_jax.checkpoints.processes import in_first_process
from c2g_jax.training.config_files import differences
from c2g_jax.types import InputError

CHECKPOINTS, WEIGHTS, LOCK = "checkpoints", "weights", "lock"
_NONE = -1  # no step

# Fields of the configuration that may change when a run resumes.
MAY_DIFFER = (
    "log_every",
    "save_every",
    "keep",
    "eval_every",
    "eval_batches",
    "export_every",
    "data.dir",
    "data.workers",
    "data.val_workers",
    "sam2.checkpoint",  # its sha256 is compared instead
)


@contextlib.contextmanager
def unless_refused(workdir: Path) -> Iterator[None]:
    """Remove a new folder again if an InputError ends the run before it starts."""
    new = not workdir.exists()
    try:
        yield
    except InputError:
        names = [path.name for path in workdir.iterdir()] if workdir.is_dir() else []
        bare = all(n == "compiled" or n.startswith(f".{LOCK}-") for n in names)
        if new and bare:
            shutil.rmtree(workdir, ignore_errors=True)
        raise


@contextlib.contextmanager
def locked(workdir: Path, process: int = 0) -> Iterator[None]:
    """Lock the folder for this run; the system releases it however the run ends.

    Each process of a multi-host run has its own lock. Raises InputError if the folder
    is in use.
    """
    workdir.mkdir(parents=True, exist_ok=True)
    with (workdir / f".{LOCK}-{process}").open("a+", encoding="ascii") as file:
        try:
            # Unlike flock's, this lock is not inherited by worker processes, which may
            # end later.
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            file.seek(0)
            raise InputError(
                f"{workdir} is in use by process {file.read().strip()}: wait for it, "
                "or name another --workdir"
            ) from error
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield


class SavedStep(NamedTuple):
    """A checkpoint's step, arrays and manifest."""

    step: int
    values: dict[str, np.ndarray]
    manifest: Mapping[str, Any]


def newest_step(workdir: Path) -> SavedStep | None:
    """Return the newest readable checkpoint; unreadable ones are renamed.

    The first process of a run chooses. None if there is no checkpoint; InputError if
    there are some but none is readable.
    """
    folder, read = workdir / CHECKPOINTS, {}

    def choose() -> int:
        steps = saved_steps(folder)
        for step in reversed(steps):
            try:
                read[step] = load_step(folder, step)
            except InputError as error:
                logging.warning("%s; it is skipped", error)
                logging.warning("kept as %s", set_aside(folder, step))
            else:
                return step
        if steps:
            raise InputError(
                f"no checkpoint in {folder} can be read: name another --workdir to "
                "start over"
            )
        return _NONE

    step = in_first_process(choose)
    if step == _NONE:
        return None
    return SavedStep(step, *(read.get(step) or load_step(folder, step)))


def resumable(
    workdir: Path, config: Mapping[str, Any], frozen: str
) -> SavedStep | None:
    """Return the newest checkpoint, if this run may resume from it.

    `config` (JSON values, except MAY_DIFFER) and `frozen` (the sha256 of the frozen
    parameters) must equal the checkpoint's; InputError names the difference.
    """
    saved = newest_step(workdir)
    if saved is None:
        return None
    folder = workdir / CHECKPOINTS / str(saved.step)
    apart = differences(config, saved.manifest["config"], MAY_DIFFER)
    if apart:
        raise InputError(
            f"the checkpoint in {folder} was made with another configuration: "
            f"{'; '.join(apart)} (checkpoint -> this run): undo that, or name "
            f"another --workdir. These may differ: {', '.join(MAY_DIFFER)}"
        )
    was = saved.manifest["frozen"]
    if was != frozen:
        raise InputError(
            f"the checkpoint in {folder} was made with other frozen parameters "
            f"(sha256 {was[:12]}, now {frozen[:12]}): give the weights that the run "
            "started with"
        )
    logging.info("resuming from step %d, %s", saved.step, folder)
    return saved
