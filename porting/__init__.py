"""PyTorch checkpoints to ours, and both implementations side by side.

The only package here that needs torch and the `sam2` package. Where they are missing
it ends in one line: every module of it is a program, or serves one.
"""

import importlib.util
import sys

import c2g_jax  # noqa: F401  (Ctrl-C ends in one line from here on)

_MISSING = [name for name in ("torch", "sam2") if not importlib.util.find_spec(name)]
if _MISSING:
    print(
        f"{' and '.join(_MISSING)} cannot be imported, which porting needs: run"
        " `make setup-test` and use the Python in .venv",
        file=sys.stderr,
    )
    raise SystemExit(2)
