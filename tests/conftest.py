"""What all tests share."""

import os

# The tests are of the numbers, which are defined in float32 on a CPU.
os.environ.setdefault("JAX_PLATFORMS", "cpu")


def pytest_collection_modifyitems(items):
    """The longest first, so that two processes end at about the same time."""
    items.sort(key=lambda item: "large" not in item.keywords)
