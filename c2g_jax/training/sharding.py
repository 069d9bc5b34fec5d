"""Data parallel: parameters on every device, batches cut along their first axis."""

import os
from collections.abc import Mapping

import jax
import numpy as np
from jax.experimental import multihost_utils
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

from c2g_jax.types import InputError

DATA = "data"
# Where no cluster says who is who. The first is JAX's own.
_ADDRESS = "JAX_COORDINATOR_ADDRESS"
_COUNT, _INDEX = "JAX_NUM_PROCESSES", "JAX_PROCESS_ID"
_SHUTDOWN = 60  # seconds that the others go on waiting for a process that failed


def data_mesh(devices: list[jax.Device] | None = None) -> Mesh:
    """All devices of all processes in a row."""
    devices = jax.devices() if devices is None else devices
    return jax.make_mesh(
        (len(devices),), (DATA,), axis_types=(AxisType.Auto,), devices=devices
    )


def replicated(mesh: Mesh) -> NamedSharding:
    """The same on every device."""
    return NamedSharding(mesh, PartitionSpec())


def sharded(mesh: Mesh) -> NamedSharding:
    """The first axis cut over the devices."""
    return NamedSharding(mesh, PartitionSpec(DATA))


def put_batch(mesh: Mesh, batch: Mapping[str, np.ndarray]) -> dict[str, jax.Array]:
    """Arrays of this process's clips as parts of those of all processes."""
    return {
        name: jax.make_array_from_process_local_data(sharded(mesh), value)
        for name, value in batch.items()
    }


def put_replicated(mesh: Mesh, tree):
    """Arrays, the same in every process, on every device; not copied where they are."""
    where = replicated(mesh)
    if jax.process_count() == 1:
        return jax.device_put(tree, where)
    return jax.tree.map(
        lambda x: jax.make_array_from_process_local_data(where, np.asarray(x)), tree
    )


def local_batch_size(mesh: Mesh, batch_size: int) -> int:
    """Clips of a batch that this process reads; InputError if they cannot be shared."""
    if batch_size < 1 or batch_size % mesh.size:
        near = max(mesh.size, round(batch_size / mesh.size) * mesh.size)
        raise InputError(
            f"batch_size {batch_size} cannot be shared by {mesh.size} devices: "
            f"take a multiple, as {near}"
        )
    return batch_size // jax.process_count()


def start_multihost() -> None:
    """Join the other processes, found through the cluster's environment.

    Without a cluster (Slurm, MPI, Kubernetes, TPU), three variables of the environment
    say who they are. InputError where nothing does.
    """
    known = {}
    if _COUNT in os.environ and _INDEX in os.environ:
        known = dict(num_processes=_number(_COUNT), process_id=_number(_INDEX))
    try:
        jax.distributed.initialize(shutdown_timeout_seconds=_SHUTDOWN, **known)
    except ValueError as error:
        raise InputError(
            f"--multihost: {error} Start it through a cluster that JAX knows, or set "
            f"{_ADDRESS}=HOST:PORT of the first process, {_COUNT}, and {_INDEX} from 0"
        ) from error


def _number(name: str) -> int:
    if not os.environ[name].isdecimal():
        raise InputError(f"{name}={os.environ[name]}: not a number")
    return int(os.environ[name])


def any_process(answer: bool) -> bool:
    """Whether any process says yes; all of them ask, and get the same answer."""
    return bool(np.any(multihost_utils.process_allgather(np.array(answer))))
