"""A drawn tree to be spoilt, and what is found in one."""

import shutil
import sys
from collections import Counter
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent))


@pytest.fixture
def tree(drawn_tree, tmp_path) -> Path:
    """A copy of the drawn tree, to be spoilt."""
    return shutil.copytree(drawn_tree, tmp_path / "tree")


def faults(preparation) -> Counter:
    """How many faults of a kind were found in a download."""
    return Counter(f.quirk for f in preparation.findings if f.is_fault)
