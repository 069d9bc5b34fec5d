"""The tests of the builders share what is drawn by hand."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent))


@pytest.fixture(scope="session")
def drawn_tree(tmp_path_factory) -> Path:
    """The download of `drawn`, unpacked. Not to be written to."""
    import drawn

    return drawn.write_tree(tmp_path_factory.mktemp("drawn") / "tree")
