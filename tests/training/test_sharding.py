"""Devices and processes: how they divide a batch and find each other."""

import jax
import numpy as np
import pytest
from jax.experimental import multihost_utils

from c2g_jax.checkpoints.processes import in_first_process
from c2g_jax.training import sharding
from c2g_jax.types import InputError


def test_a_batch_is_divided_evenly_or_refused():
    mesh = sharding.data_mesh(jax.devices()[:1])
    assert sharding.local_batch_size(mesh, 3) == 3
    with pytest.raises(
        InputError, match="batch_size 0 cannot be divided over 1 devices"
    ):
        sharding.local_batch_size(mesh, 0)


def test_the_first_process_s_result_reaches_all(monkeypatch):
    assert in_first_process(lambda: 7) == 7
    assert in_first_process(lambda: None) == 0
    with pytest.raises(ZeroDivisionError):
        in_first_process(lambda: 1 / 0)
    # As the second of two, to which the first one says what it has.
    monkeypatch.setattr(jax, "process_index", lambda: 1)
    monkeypatch.setattr(jax, "process_count", lambda: 2)

    def first_says(failed, answer):
        def broadcast(mine):
            assert mine.tolist() == [0, 0]
            return np.array([failed, answer], np.int32)

        monkeypatch.setattr(multihost_utils, "broadcast_one_to_all", broadcast)

    first_says(0, 7)
    assert in_first_process(lambda: 1 / 0) == 7
    first_says(1, 0)
    with pytest.raises(InputError, match="the first process had to stop"):
        in_first_process(lambda: 1 / 0)


@pytest.fixture
def joined(monkeypatch):
    """Record the arguments of jax.distributed.initialize, without calling it."""
    found = []

    def initialize(**known):
        found.append(known)
        if "process_id" not in known:
            raise ValueError("coordinator_address should be defined.")

    monkeypatch.setattr(jax.distributed, "initialize", initialize)
    return found


def test_processes_are_found_or_named(joined, monkeypatch):
    line = "coordinator_address should be defined. Start it .* JAX_PROCESS_ID from 0"
    with pytest.raises(InputError, match=line):
        sharding.start_multihost()
    monkeypatch.setenv("JAX_NUM_PROCESSES", "2")
    monkeypatch.setenv("JAX_PROCESS_ID", "one")
    with pytest.raises(InputError, match="JAX_PROCESS_ID=one: give a number"):
        sharding.start_multihost()
    monkeypatch.setenv("JAX_PROCESS_ID", "1")
    sharding.start_multihost()
    assert (joined[-1]["num_processes"], joined[-1]["process_id"]) == (2, 1)
