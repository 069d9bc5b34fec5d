"""Ctrl-C during imports ends a command with one line, even if imports ignore it."""

import signal

import numpy as np
import pytest
from PIL import Image

from c2g_jax.cli import interrupts
from tests.commands import python, python_after

# An import during which Ctrl-C comes, and whose author catches everything.
SWALLOWS = """
import signal
try:
    signal.raise_signal(signal.SIGINT)
except BaseException:
    pass
"""
IGNORED = "import signal; signal.signal(signal.SIGINT, signal.SIG_IGN)"


def run_with(tmp_path, interrupted: str, *words, before: str = "") -> tuple:
    """Run Python with Ctrl-C at the import of a module; returns code, out and err."""
    (tmp_path / f"{interrupted}.py").write_text(SWALLOWS)
    return python_after(tmp_path, before, *words)


STOPPED = (130, "", "stopped before the end\n")
PREDICT = ("-c", "from c2g_jax.cli.commands import predict; predict()")


@pytest.mark.parametrize(
    "words",
    [
        ("-m", "c2g_jax.predict"),
        ("-m", "c2g_jax.train"),
        ("-m", "c2g_jax.web"),
        ("-m", "porting.convert"),
        PREDICT,
    ],
    ids=["predict", "train", "web", "convert", "script"],
)
def test_while_a_program_is_imported(tmp_path, words):
    if words[1].startswith("porting"):
        pytest.importorskip("torch")
        pytest.importorskip("sam2")
    assert run_with(tmp_path, "absl", *words) == STOPPED


def test_while_jax_is_imported_for_the_job(tmp_path):
    Image.fromarray(np.zeros((32, 32, 3), np.uint8)).save(tmp_path / "a.png")
    flags = (f"--video={tmp_path}/a.png", "--point=1,1", f"--output={tmp_path}/out")
    assert run_with(tmp_path, "jax", "-m", "c2g_jax.predict", *flags) == STOPPED
    assert not (tmp_path / "out").exists()


def test_a_program_that_ignores_interrupts_goes_on_doing_so(tmp_path):
    """Like a command that a shell starts in the background."""
    words = ("-m", "c2g_jax.predict")
    code, _, err = run_with(tmp_path, "absl", *words, before=IGNORED)
    assert code == 1
    assert "ImportError" in err  # the fake absl has no such names


def test_a_library_leaves_interrupts_alone():
    code = (
        "import signal, c2g_jax, c2g_jax.cli.launch;print(signal.getsignal(2).__name__)"
    )
    done = python("-c", code)
    assert done.stdout == "default_int_handler\n", done.stderr


def test_loading_gives_back_what_was_there():
    before = signal.getsignal(signal.SIGINT)
    with interrupts.interruptible_imports():
        assert signal.getsignal(signal.SIGINT) is not before
    assert signal.getsignal(signal.SIGINT) is before

    def mine(*_):
        raise AssertionError

    signal.signal(signal.SIGINT, mine)
    try:
        with interrupts.interruptible_imports():
            assert signal.getsignal(signal.SIGINT) is mine
        assert signal.getsignal(signal.SIGINT) is mine
    finally:
        signal.signal(signal.SIGINT, before)
