"""What all tests share."""

import os

# The tests are of the numbers, which are defined in float32 on a CPU.
os.environ.setdefault("JAX_PLATFORMS", "cpu")
