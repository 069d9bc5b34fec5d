"""Running a main: as its users do, and in this process."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from unittest import mock

import pytest
from absl import flags
from absl.testing import flagsaver

ROOT = Path(__file__).resolve().parent.parent


def python(*words, **env: str) -> subprocess.CompletedProcess:
    """Python with these words in the root of the checkout, on the CPU."""
    return subprocess.run(
        [sys.executable, *map(str, words)],
        cwd=ROOT,
        env=os.environ | {"JAX_PLATFORMS": "cpu"} | env,
        capture_output=True,
        text=True,
    )


def python_after(folder: Path, first: str, *words) -> tuple[int, str, str]:
    """Python that begins with the code `first`: exit code, out and err.

    It finds the modules in the folder before all others.
    """
    (folder / "sitecustomize.py").write_text(first)
    paths = filter(None, [str(folder), os.environ.get("PYTHONPATH")])
    done = python(*words, PYTHONPATH=os.pathsep.join(paths))
    return done.returncode, done.stdout, done.stderr


def run(module: str, *args) -> subprocess.CompletedProcess:
    """`python -m module args` in the root of the checkout, on the CPU."""
    return python("-m", module, *args)


def run_and_name(packages: set[str], module: str, *args) -> subprocess.CompletedProcess:
    """As `run`, and on stderr, at the end, which of the packages were imported."""
    code = (
        "import atexit, runpy, sys\n"
        f"told = lambda: print(*{packages!r} & set(sys.modules), file=sys.stderr)\n"
        "atexit.register(told)\n"
        f"runpy.run_module({module!r}, run_name='__main__')"
    )
    return python("-c", code, *args)


def refusal(module: str, *args) -> str:
    """The one line on stderr with which a main ends by exit code 2."""
    done = run(module, *args)
    assert done.returncode == 2, done.stdout + done.stderr
    (line,) = done.stderr.strip().splitlines()
    return line


def run_here(program: Callable, monkeypatch, capsys, *words) -> tuple[int, str, str]:
    """A program in this process, which it is to end: exit code, out and err."""
    monkeypatch.setattr(sys, "argv", list(map(str, words)))
    with flagsaver.flagsaver(), pytest.raises(SystemExit) as stop:
        program()
    return stop.value.code or 0, *capsys.readouterr()


def refusal_here(program: Callable, monkeypatch, capsys, *words) -> str:
    """The one line on stderr with which a program here ends by exit code 2."""
    code, out, err = run_here(program, monkeypatch, capsys, *words)
    assert (code, out) == (2, ""), err
    (line,) = err.splitlines()
    return line


def call_main(main: Callable, *words) -> None:
    """A main in this process with these flags; they are as they were after it."""
    command = [main.__module__, *map(str, words)]
    with mock.patch.object(sys, "argv", command), flagsaver.flagsaver():
        flags.FLAGS(command)
        main(command[:1])
