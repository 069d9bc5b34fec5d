"""A tiny training run, in processes that can be killed.

Processes are forked from a server that has imported everything, so that they start
quickly; JAX itself is initialised in each process.
"""

import dataclasses
import json
import logging
import multiprocessing
import os
import signal
import socket
import struct
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from tensorboardX.proto.event_pb2 import Event

from c2g_jax.checkpoints import orbax as checkpoints
from c2g_jax.checkpoints.safetensors import save_weights
from c2g_jax.training import metrics as metrics_module
from c2g_jax.training import sharding
from c2g_jax.training.loop import LoopConfig, Run
from c2g_jax.training.optim import Group, OptimConfig
from c2g_jax.training.workdir import CHECKPOINTS, locked
from c2g_jax.types import InputError

STEPS, BATCH = 12, 16


class Net(nnx.Module):
    def __init__(self, rngs):
        self.body = nnx.Linear(4, 8, rngs=rngs)
        self.hidden = nnx.Linear(8, 8, rngs=rngs)
        self.head = nnx.Linear(8, 3, rngs=rngs)


class ToyTask:
    """Classification of four numbers, with random noise; `body` is frozen."""

    trainable = (r"hidden\..*", r"head\..*")

    def __init__(self, poison: int = -1):
        self.model, self.poison = Net(nnx.Rngs(1)), poison

    def loss(self, model, batch, key, clip_keys, train=True):
        def one(x, y, key):
            noise = 0.1 * jax.random.normal(key, (8,)) * train
            x = jax.nn.relu(model.hidden(jnp.tanh(model.body(x)) + noise))
            logits = jax.nn.log_softmax(model.head(x))
            return -logits[y], jnp.sum(logits**2)

        cross, size = jax.vmap(one)(batch["x"], batch["y"], clip_keys)
        poisoned = jnp.any(batch["number"] == self.poison) & train
        size = jnp.where(poisoned, jnp.nan, jnp.mean(size))
        terms = {"cross": jnp.mean(cross), "size": size}
        return terms["cross"] + 0.01 * terms["size"], terms


class ToyLoader:
    """Batch i is drawn from (seed, i); each process has its rows of it."""

    def __init__(self, seed=0, at=None, shard=(0, 1)):
        self.seed, self.at, self.shard = seed, at, shard

    def __iter__(self):
        return ToyIterator(self)


class ToyIterator:
    def __init__(self, loader):
        self.loader, self.number = loader, 0

    def __iter__(self):
        return self

    def __next__(self):
        if self.loader.at is not None:
            self.loader.at(self.number)
        rng = np.random.default_rng((self.loader.seed, self.number))
        x = rng.normal(size=(BATCH, 4)).astype(np.float32)
        batch = {"x": x, "y": (x[:, 0] > 0).astype(np.int32) + (x[:, 1] > 0)}
        batch["number"] = np.full(BATCH, self.number)
        self.number += 1
        index, count = self.loader.shard
        return {name: np.split(value, count)[index] for name, value in batch.items()}

    def get_state(self):
        shard = list(self.loader.shard)
        return {"batches": self.number} | ({} if shard == [0, 1] else {"shard": shard})

    def set_state(self, state):
        self.number = state["batches"]
        assert state == self.get_state()

    def close(self):
        pass


def optim_config(**options) -> OptimConfig:
    groups = {
        "hidden": Group(r"hidden\..*", 1e-2, "cosine", 1e-3),
        "head": Group(r"head\..*", 3e-2),
    }
    return OptimConfig(STEPS, groups, **options)


def make_run(workdir, task=None, loader=None, config=None, profile=None, **options):
    """A run with the options of LoopConfig and OptimConfig by name."""
    known = {field.name for field in dataclasses.fields(LoopConfig)}
    loop = {k: v for k, v in options.items() if k in known}
    rest = {k: v for k, v in options.items() if k not in known}
    loop = {"steps": STEPS, "log_every": 1, "save_every": 3, "keep": 2} | loop
    optim = {"warmup": 2, "clip_norm": 1.0, "ema": 0.9} | rest
    return Run(
        task or ToyTask(),
        optim_config(**optim),
        LoopConfig(**loop),
        loader or ToyLoader(),
        ToyLoader(1),
        lambda model, folder, manifest: save_weights(
            model, folder, {"size": "net", **manifest}
        ),
        config or {"seed": 0, "lr": {"head": 3e-2}},
        Path(workdir),
        sharding.data_mesh(),
        profile,
    )


def kill_at(point: str, count: int):
    """Make this process die by SIGKILL at the count-th pass of a point.

    "reading": a batch is read; "writing": a checkpoint's tree is written, but no
    manifest; "renaming": it is complete, but not yet renamed; "logging": half a line of
    metrics is written. Returns the function that the loader must call, if any.
    """
    passed = iter(range(1, 10**6))

    def die():
        os.kill(os.getpid(), signal.SIGKILL)

    def before(real):
        def call(*args, **kwargs):
            if next(passed) == count:
                die()
            return real(*args, **kwargs)

        return call

    if point == "writing":
        save = checkpoints.ocp.save

        def half(path, tree):
            save(path, tree)
            if next(passed) == count:
                die()

        checkpoints.ocp.save = half
    elif point == "renaming":
        checkpoints.os.replace = before(checkpoints.os.replace)
    elif point == "logging":
        write = metrics_module.MetricsLog.write

        def write_half(self, step, values):
            if next(passed) == count:
                self._file.write('{"step": ')
                self._file.flush()
                die()
            write(self, step, values)

        metrics_module.MetricsLog.write = write_half
    elif point == "reading":
        return lambda number: die() if next(passed) == count else None
    return None


def work(pipe, workdir, devices, kill, options):
    """Train in this process, and send the result."""
    os.environ["JAX_PLATFORMS"] = "cpu"
    os.environ["XLA_FLAGS"] = f"--xla_force_host_platform_device_count={devices}"
    index, count, port = options.pop("member", (0, 1, None))
    logging.basicConfig(
        filename=log_of(workdir, index),
        level=logging.INFO,
        format="%(name)s %(message)s",
        force=True,
    )
    jax.config.update("jax_compilation_cache_dir", str(Path(workdir).parent / "jax"))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)
    poison = options.pop("poison", -1)
    at = kill_at(*kill) if kill else None
    loader = ToyLoader(at=at, shard=(index, count))
    if count > 1:
        os.environ["JAX_COORDINATOR_ADDRESS"] = f"127.0.0.1:{port}"
        os.environ["JAX_NUM_PROCESSES"] = str(count)
        os.environ["JAX_PROCESS_ID"] = str(index)
        sharding.start_multihost()
    try:
        with locked(Path(workdir), index):
            pipe.send("locked")
            if options.pop("wait", False):
                pipe.recv()
            run = make_run(workdir, ToyTask(poison), loader, **options)
            pipe.send(run.train())
    except InputError as error:
        pipe.send(str(error))


def log_of(workdir, index=0):
    """The file with what a process logs."""
    return Path(workdir).with_name(f"{Path(workdir).name}-{index}.log")


def start(workdir, devices=1, kill=None, **options):
    """Start a process that trains; return it and the pipe to it."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])
    ours, theirs = context.Pipe()
    args = (theirs, str(workdir), devices, kill, options)
    process = context.Process(target=work, args=args, daemon=True)
    process.start()
    theirs.close()
    return process, ours


def finish(process, pipe):
    """Return what the process sent last, or "killed"."""
    said = None
    try:
        while True:
            said = pipe.recv()
    except EOFError:
        process.join()
    return "killed" if process.exitcode == -signal.SIGKILL else said


def train(workdir, devices=1, kill=None, **options):
    """True at the end of a run, the line of an InputError, or "killed"."""
    return finish(*start(workdir, devices, kill, **options))


def train_together(workdir, count, kill=None, **options):
    """Train in `count` processes of one run; `kill` is for the first one."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    runs = [
        start(workdir, kill=None if i else kill, member=(i, count, port), **options)
        for i in range(count)
    ]
    said = [finish(*runs[0])]
    for run in runs[1:]:
        if said == ["killed"]:  # a cluster would end the others too
            run[0].kill()
        said.append(finish(*run))
    return said


def last_state(workdir):
    """The step, arrays and loader state of the newest checkpoint."""
    folder = Path(workdir) / CHECKPOINTS
    step = checkpoints.saved_steps(folder)[-1]
    values, manifest = checkpoints.load_step(folder, step)
    return step, values, manifest["loader"]


def lines(workdir):
    """metrics.jsonl without what depends on the clock."""
    clock = ("time", "steps_per_second", "data_wait")
    text = (Path(workdir) / "metrics.jsonl").read_text().splitlines()
    rows = [json.loads(line) for line in text]
    return [{k: v for k, v in row.items() if k not in clock} for row in rows]


def logged_steps(workdir):
    """(step, name) of all scalars in the event files, in order."""
    found = []
    for file in (workdir / "tensorboard").iterdir():
        data, at = file.read_bytes(), 0
        while at < len(data):  # length, its checksum, the event, its checksum
            (length,) = struct.unpack("<Q", data[at : at + 8])
            event = Event.FromString(data[at + 12 : at + 12 + length])
            found += [(event.step, value.tag) for value in event.summary.value]
            at += length + 16
    return found
