import subprocess
import sys

import pytest

PROGRAM = '''
"""Does something.

More about it."""
from absl import flags
from c2g_jax import launch
from c2g_jax.types import InputError
NUMBER = flags.DEFINE_integer("number", 1, "How many.")
def main(argv):
    if NUMBER.value == 2:
        raise InputError("two is\\n too many: give 1")
    if NUMBER.value == 3:
        raise KeyboardInterrupt
    if NUMBER.value == 4:
        raise ZeroDivisionError("ours")
    if NUMBER.value == 5:
        raise OSError(28, "No space left on device", "a/b")
    if NUMBER.value == 6:
        raise PermissionError(13, "Permission denied", "a/b")
    if NUMBER.value == 7:
        raise MemoryError
    print("done", NUMBER.value)
launch.run(main, lower="--number")
'''


def launch(tmp_path, *arguments):
    path = tmp_path / "program.py"
    path.write_text(PROGRAM)
    return subprocess.run(
        [sys.executable, path, *arguments],
        capture_output=True,
        text=True,
        env={"PYTHONPATH": ":".join(filter(None, sys.path))},
    )


@pytest.mark.parametrize(
    ("argument", "code", "line"),
    [
        ("--number=2", 2, "two is too many: give 1"),
        ("--number=3", 130, "stopped before the end"),
        ("--numbr=1", 2, "Unknown command line flag 'numbr'. Did you mean: number ?"),
        ("stray", 2, "unexpected argument 'stray': write flags as --name=value"),
        ("--number=many", 2, "flag --number=many: give a whole number"),
        ("--number=5", 2, "a/b: No space left on device: make room there, or write "
         "elsewhere"),
        ("--number=6", 2, "a/b: Permission denied: change its rights, or name another"),
        ("--number=7", 2, "out of memory: lower --number"),
    ],
)  # fmt: skip
def test_one_line_and_an_exit_code(tmp_path, argument, code, line):
    done = launch(tmp_path, argument)
    assert (done.returncode, done.stdout, done.stderr) == (code, "", line + "\n")


def test_success_and_our_own_errors(tmp_path):
    done = launch(tmp_path, "--number=1")
    assert (done.returncode, done.stdout, done.stderr) == (0, "done 1\n", "")
    broken = launch(tmp_path, "--number=4")
    assert broken.returncode == 1
    assert "Traceback" in broken.stderr


def test_help_describes_the_program_and_its_flags(tmp_path):
    done = launch(tmp_path, "--help")
    assert done.returncode == 0
    assert done.stdout.startswith("Does something.\n\nMore about it.\n")
    assert "--number: How many." in done.stdout
