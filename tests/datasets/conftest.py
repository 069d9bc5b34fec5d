"""A generated tree to damage, and the faults found in one."""

import shutil
import sys
from collections import Counter
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent))


@pytest.fixture
def tree(drawn_tree, tmp_path) -> Path:
    """A copy of the generated tree, to be changed."""
    return shutil.copytree(drawn_tree, tmp_path / "tree")


def faults(preparation) -> Counter:
    """Count the faults found in a download, by kind."""
    return Counter(f.quirk for f in preparation.findings if f.is_fault)
