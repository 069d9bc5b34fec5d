"""A seeded toy checkpoint in the official naming, and its twin in `transformers`."""

import functools

import pytest

from c2g_jax.cli import launch
from tests.commands import refusal_here
from tests.seeded import seeded


@pytest.fixture(scope="session")
def official(tmp_path_factory):
    """The state of a seeded toy checkpoint, in the official naming."""
    return seeded(tmp_path_factory, "toy")


@pytest.fixture
def checkpoint(official, tmp_path):
    """The same in a file, as the official ones have it."""
    from porting.seeded import save_checkpoint

    save_checkpoint(official, tmp_path / "toy.pt")
    return tmp_path / "toy.pt"


@pytest.fixture(scope="session")
def transformers_model():
    """A function: Sam2VideoModel of a size, with the values of an official state."""
    pytest.importorskip("transformers")
    from porting.transformers_reference import build_transformers

    def model(size, state, image_size=256, **changes):
        return build_transformers(size, state, image_size, **changes)

    return model


@pytest.fixture
def refuse(monkeypatch, capsys):
    """A function: the line with which a main refuses its flags, in this process."""

    def line(module, *words):
        start = functools.partial(launch.run, module.main)
        return refusal_here(start, monkeypatch, capsys, "porting", *words)

    return line
