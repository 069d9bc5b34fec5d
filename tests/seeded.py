"""Seeded checkpoints in the official layout, drawn once in a process."""

import functools

import pytest


@functools.cache
def seeded(size: str):
    """The state of a size; not to be changed."""
    pytest.importorskip("torch")
    pytest.importorskip("sam2")
    from porting.seeded import seeded_state

    return seeded_state(size)
