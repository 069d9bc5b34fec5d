"""Running a command: in a process of its own, or in this one."""

import importlib
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
    """Run Python with these arguments in the root of the checkout, on the CPU."""
    return subprocess.run(
        [sys.executable, *map(str, words)],
        cwd=ROOT,
        env=os.environ | {"JAX_PLATFORMS": "cpu"} | env,
        capture_output=True,
        text=True,
    )


def python_after(folder: Path, first: str, *words) -> tuple[int, str, str]:
    """Run Python after the code `first`; returns exit code, stdout and stderr.

    Modules in `folder` take precedence over all others.
    """
    (folder / "sitecustomize.py").write_text(first)
    paths = filter(None, [str(folder), os.environ.get("PYTHONPATH")])
    done = python(*words, PYTHONPATH=os.pathsep.join(paths))
    return done.returncode, done.stdout, done.stderr


def run(module: str, *args) -> subprocess.CompletedProcess:
    """Run `python -m module args` in the root of the checkout, on the CPU."""
    return python("-m", module, *args)


def run_and_name(packages: set[str], module: str, *args) -> subprocess.CompletedProcess:
    """Like `run`, and print the imported ones of `packages` on stderr at exit."""
    code = (
        "import atexit, runpy, sys\n"
        f"report = lambda: print(*{packages!r} & set(sys.modules), file=sys.stderr)\n"
        "atexit.register(report)\n"
        f"runpy.run_module({module!r}, run_name='__main__')"
    )
    return python("-c", code, *args)


def refusal(module: str, *args) -> str:
    """Return the line on stderr of a command that exits with code 2."""
    done = run(module, *args)
    assert done.returncode == 2, done.stdout + done.stderr
    (line,) = done.stderr.strip().splitlines()
    return line


def run_here(program: Callable, monkeypatch, capsys, *words) -> tuple[int, str, str]:
    """Run a program that exits in this process; returns exit code, stdout, stderr."""
    monkeypatch.setattr(sys, "argv", list(map(str, words)))
    with flagsaver.flagsaver(), pytest.raises(SystemExit) as stop:
        program()
    return stop.value.code or 0, *capsys.readouterr()


def refusal_here(program: Callable, monkeypatch, capsys, *words) -> str:
    """Return the line on stderr of a program in this process that exits with code 2."""
    code, out, err = run_here(program, monkeypatch, capsys, *words)
    assert (code, out) == (2, ""), err
    (line,) = err.splitlines()
    return line


def call_main(main: Callable, *words) -> None:
    """Run a main in this process with these flags, and restore the flags after it."""
    # It defines flags that it reads at every data set opened: the first import inside
    # `flagsaver` would be the only one with flags.
    importlib.import_module("array_record.python.array_record_data_source")
    command = [main.__module__, *map(str, words)]
    with mock.patch.object(sys, "argv", command), flagsaver.flagsaver():
        flags.FLAGS(command)
        main(command[:1])
