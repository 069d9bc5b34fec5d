"""Running a main as its users do."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def run(module: str, *args) -> subprocess.CompletedProcess:
    """`python -m module args` in the root of the checkout, on the CPU."""
    return subprocess.run(
        [sys.executable, "-m", module, *map(str, args)],
        cwd=ROOT,
        env=os.environ | {"JAX_PLATFORMS": "cpu"},
        capture_output=True,
        text=True,
    )


def refusal(module: str, *args) -> str:
    """The one line on stderr with which a main ends by exit code 2."""
    done = run(module, *args)
    assert done.returncode == 2, done.stdout + done.stderr
    (line,) = done.stderr.strip().splitlines()
    return line
