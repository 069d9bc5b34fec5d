import os
import subprocess
import sys

import pytest

from tests.commands import ROOT

PROGRAM = '''
"""Does something.

More about it."""
from absl import flags
from c2g_jax.cli import launch
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
    if NUMBER.value == 8:
        for number in range(100_000):
            print(number)
    if NUMBER.value == 9:
        from rich.console import Console
        from rich.table import Table
        table = Table("a number")
        for number in range(10_000):
            table.add_row(str(number))
        Console().print(table)
    if NUMBER.value == 10:
        import os
        ours, theirs = os.pipe()
        os.close(ours)
        os.write(theirs, b"to a process of ours")
    if NUMBER.value == 11:
        import logging
        for name in ("absl", "jax", "jax._src.xla_bridge", None):
            logging.getLogger(name).info("%s reads a folder", name or "ours")
            logging.getLogger(name).warning("%s warns", name or "ours")
    if NUMBER.value == 12:
        import warnings
        warnings.warn("attention is plain")
    print("done", NUMBER.value)
launch.run(main, lower="--number")
'''


def launch(tmp_path, *arguments, **streams):
    path = tmp_path / "program.py"
    path.write_text(PROGRAM)
    if not streams:
        streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return subprocess.run(
        [sys.executable, path, *arguments],
        text=True,
        env={"PYTHONPATH": ":".join(filter(None, sys.path))},
        **streams,
    )


@pytest.fixture
def unread():
    """A pipe whose reader has exited."""
    ours, theirs = os.pipe()
    os.close(ours)
    yield theirs
    os.close(theirs)


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
        ("--number=6", 2, "a/b: Permission denied: change its permissions, or name "
         "another"),
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


@pytest.mark.parametrize(
    "argument", ["--help", "--number=1", "--number=8", "--number=9"],
    ids=["help", "at the end", "meanwhile", "a table"],
)  # fmt: skip
def test_a_reader_that_has_gone_ends_it_quietly(tmp_path, unread, argument):
    done = launch(tmp_path, argument, stdout=unread, stderr=subprocess.PIPE)
    assert (done.returncode, done.stderr) == (141, "")
    both = launch(tmp_path, argument, stdout=unread, stderr=unread)
    assert both.returncode == 141


def test_head_reads_a_line(tmp_path):
    """The exit code that a shell reports for the first command of the pipe."""
    line = f"{sys.executable} -m c2g_jax.predict --help | head -n 1; "
    script = line + 'echo "${PIPESTATUS[0]}"'
    done = subprocess.run(
        ["bash", "-c", script], cwd=ROOT, capture_output=True, text=True
    )
    first, code = done.stdout.splitlines()
    assert first
    # It may have written everything before `head` exited.
    assert code in ("0", "141")
    assert done.stderr == ""


def test_bad_input_keeps_its_exit_code_where_nobody_reads(tmp_path, unread):
    assert launch(tmp_path, "--number=2", stdout=unread, stderr=unread).returncode == 2


def test_another_pipe_that_breaks_is_our_own_error(tmp_path):
    broken = launch(tmp_path, "--number=10")
    assert broken.returncode == 1
    assert "BrokenPipeError" in broken.stderr


def test_what_cannot_be_printed_for_a_full_disk(tmp_path):
    with open("/dev/full", "w") as full:
        done = launch(tmp_path, "--number=1", stdout=full, stderr=subprocess.PIPE)
    assert done.returncode == 2
    assert done.stderr == (
        "the output: No space left on device: make room there, or write elsewhere\n"
    )


def test_a_warning_is_a_line(tmp_path):
    assert launch(tmp_path, "--number=12").stderr == "attention is plain\n"


def test_others_tell_of_no_more_than_warnings(tmp_path):
    told = launch(tmp_path, "--number=11").stderr.splitlines()
    assert [line.partition("] ")[2] for line in told] == [
        "absl warns",
        "jax warns",
        "jax._src.xla_bridge warns",
        "ours reads a folder",
        "ours warns",
    ]
