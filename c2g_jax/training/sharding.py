"""Data parallelism: replicated parameters, batches sharded along their first axis."""

import os
from collections.abc import Callable, Mapping, Sequence

import jax
import numpy as np
from jax.experimental import multihost_utils
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

from c2g_jax.types import InputError

DATA = "data"
# Environment variables for runs without a cluster; the first is JAX's own.
_ADDRESS = "JAX_COORDINATOR_ADDRESS"
_COUNT, _INDEX = "JAX_NUM_PROCESSES", "JAX_PROCESS_ID"
_SHUTDOWN = 60  # seconds that other processes wait for one that failed


def data_mesh(devices: list[jax.Device] | None = None) -> Mesh:
    """Return a 1-D mesh of all devices of all processes."""
    devices = jax.devices() if devices is None else devices
    return jax.make_mesh(
        (len(devices),), (DATA,), axis_types=(AxisType.Auto,), devices=devices
    )


def replicated(mesh: Mesh) -> NamedSharding:
    """Return the sharding of arrays that every device holds."""
    return NamedSharding(mesh, PartitionSpec())


def sharded(mesh: Mesh) -> NamedSharding:
    """Return the sharding of arrays divided over the devices by their first axis."""
    return NamedSharding(mesh, PartitionSpec(DATA))


def mean_over_devices(
    mesh: Mesh, function: Callable, divided: Sequence[bool]
) -> Callable:
    """Return a function that every device runs for itself; results are the means.

    `divided` tells of each argument whether its arrays are divided over the devices by
    their first axis, or whole on each.
    """

    def mean(*given):
        return jax.lax.pmean(function(*given), DATA)

    specs = tuple(PartitionSpec(DATA) if d else PartitionSpec() for d in divided)
    # Means are equal on all devices, which JAX's own check cannot see through a kernel.
    return jax.shard_map(
        mean, mesh=mesh, in_specs=specs, out_specs=PartitionSpec(), check_vma=False
    )


def put_batch(mesh: Mesh, batch: Mapping[str, np.ndarray]) -> dict[str, jax.Array]:
    """Return global arrays made from each process's own clips."""
    return {
        name: jax.make_array_from_process_local_data(sharded(mesh), value)
        for name, value in batch.items()
    }


def put_replicated(mesh: Mesh, tree):
    """Put arrays, the same in every process, on every device; may share memory."""
    where = replicated(mesh)
    if jax.process_count() == 1:
        return jax.device_put(tree, where)
    return jax.tree.map(
        lambda x: jax.make_array_from_process_local_data(where, np.asarray(x)), tree
    )


def local_batch_size(mesh: Mesh, batch_size: int) -> int:
    """Return the number of clips of a batch that each process reads.

    Raises InputError unless batch_size is a multiple of the number of devices.
    """
    if batch_size < 1 or batch_size % mesh.size:
        near = max(mesh.size, round(batch_size / mesh.size) * mesh.size)
        raise InputError(
            f"batch_size {batch_size} cannot be divided over {mesh.size} devices: "
            f"use a multiple, such as {near}"
        )
    return batch_size // jax.process_count()


def start_multihost() -> None:
    """Join the other processes of a run, found through the cluster's environment.

    Without a cluster (Slurm, MPI, Kubernetes, TPU), three environment variables give
    the coordinator, the number of processes and this one's index. Raises InputError if
    neither is there.
    """
    known = {}
    if _COUNT in os.environ and _INDEX in os.environ:
        known = dict(num_processes=_number(_COUNT), process_id=_number(_INDEX))
    try:
        jax.distributed.initialize(shutdown_timeout_seconds=_SHUTDOWN, **known)
    except ValueError as error:
        raise InputError(
            f"--multihost: {error} Start it through a cluster that JAX detects, or set "
            f"{_ADDRESS}=HOST:PORT of the first process, {_COUNT}, and {_INDEX} from 0"
        ) from error


def _number(name: str) -> int:
    if not os.environ[name].isdecimal():
        raise InputError(f"{name}={os.environ[name]}: give a number")
    return int(os.environ[name])


def any_process(answer: bool) -> bool:
    """Whether `answer` is true in any process; every process must call this."""
    return bool(np.any(multihost_utils.process_allgather(np.array(answer))))
