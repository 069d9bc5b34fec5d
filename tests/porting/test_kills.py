"""`kill -9` of a conversion leaves no incomplete result; it works again afterwards."""

import signal

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("sam2")

from c2g_jax.checkpoints.safetensors import save_weights
from c2g_jax.sam2.config import sam2_config
from porting import convert
from porting.official import load_folder, port
from tests.commands import call_main, python

pytestmark = pytest.mark.parity

# `python -m porting.convert` that dies in a function: half of what that was to write is
# written, or nothing is yet in its place.
KILLED = """
import os, runpy, signal, sys
from pathlib import Path
from pkgutil import resolve_name
from unittest import mock
place, *sys.argv = sys.argv[1:]
real = resolve_name(place)
def killing(*words):
    if words[-1].suffix:
        real(*words)
        os.truncate(words[-1], words[-1].stat().st_size // 2)
    os.kill(os.getpid(), signal.SIGKILL)
with mock.patch(place.replace(":", "."), killing):
    runpy.run_module("porting.convert", run_name="__main__")
"""


def kill(place, *words):
    done = python("-c", KILLED, place, "convert", *words)
    assert done.returncode == -signal.SIGKILL, done.stderr


def names(folder):
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize(
    "place", ["c2g_jax.checkpoints.safetensors:save_file", "pathlib:Path.replace"]
)
def test_a_killed_conversion_leaves_no_folder(checkpoint, tmp_path, place):
    output = tmp_path / "out"
    words = f"--checkpoint={checkpoint}", f"--output={output}"
    kill(place, *words)
    assert not output.exists()
    assert len(names(tmp_path)) == 2  # beside the checkpoint: what lies aside
    call_main(convert.main, *words)
    assert names(tmp_path) == ["out", "toy.pt"]
    assert names(output) == ["manifest.json", "weights.safetensors"]
    load_folder(output)


def test_a_killed_way_back_leaves_no_file(official, tmp_path):
    folder, output = tmp_path / "w", tmp_path / "back" / "back.pt"
    save_weights(port(official, sam2_config("toy")), folder, {"size": "toy"})
    words = "--reverse", f"--checkpoint={folder}", f"--output={output}"
    kill("torch:save", *words)
    assert not output.exists()
    call_main(convert.main, *words)
    assert names(output.parent) == ["back.pt"]
    state = torch.load(output, weights_only=True)["model"]
    assert all(torch.equal(state[name], official[name]) for name in official)
