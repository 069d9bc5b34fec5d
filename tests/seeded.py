"""Seeded checkpoints in the official layout, drawn once for all test processes."""

import pytest


def seeded(factory: pytest.TempPathFactory, size: str):
    """The state of a size; not to be changed."""
    torch = pytest.importorskip("torch")
    pytest.importorskip("sam2")
    from porting.seeded import seeded_state
    from tests.conftest import made_once

    def make(folder):
        folder.mkdir()
        torch.save(seeded_state(size), folder / "state.pt")

    folder = made_once(factory, f"seeded_{size}", make)
    return torch.load(folder / "state.pt", mmap=True)
