"""Full disks, damaged files, out of memory: one clear line, and no data loss."""

import errno
import os
import shutil
import subprocess
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from jax.errors import JaxRuntimeError
from starlette.testclient import TestClient

from c2g_jax.checkpoints.orbax import load_orbax, save_orbax
from c2g_jax.checkpoints.safetensors import (
    MANIFEST,
    WEIGHTS,
    load_weights,
    parameters,
    save_weights,
)
from c2g_jax.predict import __main__ as predict
from c2g_jax.types import InputError
from tests.clips import write_clip
from tests.faked import failing_tracker, fake_tracker, run_predict
from tests.web.conftest import client_of
from tests.web.fake_session import FakeSession

NOISE = np.random.default_rng(0).integers(0, 256, (5, 240, 320, 3), np.uint8)


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    """A clip whose overlay is some hundred KB large."""
    return write_clip(tmp_path_factory.mktemp("clip") / "a.mp4", NOISE, fps=5)


@pytest.fixture
def start(monkeypatch, capsys, clip):
    """Runs predict with the fake model; returns exit code, stdout and stderr."""
    monkeypatch.setattr(predict, "make_tracker", fake_tracker)

    def call(output):
        words = (f"--video={clip}", "--point=1,1", "--size=toy", f"--output={output}")
        return run_predict(monkeypatch, capsys, *words)

    return call


@pytest.fixture
def disk(tmp_path):
    """Mounts a disk of `kilobytes` KB; None: a read-only one."""
    place = tmp_path / "disk"
    place.mkdir()

    def mount(kilobytes: int | None):
        options = "ro" if kilobytes is None else f"size={kilobytes}k"
        command = ("mount", "-t", "tmpfs", "-o", options, "tmpfs", place)
        done = shutil.which("mount") and subprocess.run(command, capture_output=True)
        if not done or done.returncode:
            pytest.skip("no disk can be mounted here")
        return place

    yield mount
    if os.path.ismount(place):
        subprocess.run(("umount", "-l", place), check=True)


# The disk


def test_predict_on_a_full_disk(disk, start):
    place = disk(128)
    code, out, err = start(place / "out")
    assert (code, out) == (2, "")
    line = f"{place}/out: No space left on device, and nothing is written: make room"
    assert err.startswith(line)
    assert err.count("\n") == 1
    assert list(place.iterdir()) == []


def test_predict_on_a_disk_that_cannot_be_written(disk, start, monkeypatch):
    monkeypatch.setattr(
        predict, "make_tracker", None
    )  # the error comes before the work
    code, out, err = start(disk(None) / "out")
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert "/out: nothing can be written there (Read-only file system)" in err


class Net(nnx.Module):
    """A module of 400 KB of incompressible weights: `value` times the same noise."""

    def __init__(self, value: float):
        noise = np.random.default_rng(0).standard_normal((100, 1000), np.float32)
        noise[0, 0] = 1
        self.table = nnx.Param(value * jnp.asarray(noise))
        self.bias = nnx.Param(jnp.arange(4.0))


def abstract():
    return nnx.eval_shape(lambda: Net(0.0))


def table_of(folder, load=load_weights) -> float:
    return float(parameters(load(abstract(), folder))["table"][0, 0])


@pytest.mark.parametrize(
    ("save", "load"), [(save_weights, load_weights), (save_orbax, load_orbax)]
)
def test_a_checkpoint_on_a_full_disk_leaves_the_old_one(disk, save, load):
    place = disk(700)
    save(Net(1.0), place / "w", {"size": "toy"})
    (place / "rest").write_bytes(bytes(150_000))
    with pytest.raises(InputError, match=r"/w.*: make room there, or write") as caught:
        save(Net(2.0), place / "w", {"size": "toy"})
    assert "\n" not in str(caught.value)
    assert table_of(place / "w", load) == 1
    assert sorted(path.name for path in place.iterdir()) == ["rest", "w"]


def test_an_upload_to_a_full_disk_is_told(disk, clip):
    with client_of(disk(64) / "state") as client:
        quiet = TestClient(client.app, client.base_url, raise_server_exceptions=False)
        answer = quiet.post("/sessions", content=clip.read_bytes())
        assert answer.status_code == 507
        assert "make room there, and try again" in answer.json()["error"]
        assert list(client.service.registry.root.iterdir()) == []


# Damaged and swapped checkpoints


def flipped(data: bytes, place: int) -> bytes:
    return data[:place] + bytes([data[place] ^ 4]) + data[place + 1 :]


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    folder = tmp_path_factory.mktemp("weights") / "w"
    save_weights(Net(1.0), folder, {"size": "toy"})
    return folder


def test_a_bit_that_flipped_in_the_weights_is_noticed(tmp_path, weights):
    folder = Path(shutil.copytree(weights, tmp_path / "w"))
    whole = (folder / WEIGHTS).read_bytes()
    places = (0, 9, 60, len(whole) // 2, len(whole) - 1)
    torn = [flipped(whole, i) for i in places] + [whole[:i] for i in places]
    for data in torn:
        (folder / WEIGHTS).write_bytes(data)
        with pytest.raises(InputError, match="cut short or changed: convert the"):
            load_weights(abstract(), folder)


def test_a_bit_that_flipped_in_the_manifest_changes_no_weight(tmp_path, weights):
    folder = Path(shutil.copytree(weights, tmp_path / "w"))
    whole = (folder / MANIFEST).read_bytes()
    refused = 0
    for place in range(len(whole)):
        (folder / MANIFEST).write_bytes(flipped(whole, place))
        try:
            value = table_of(folder)
        except InputError:
            refused += 1
        else:
            assert value == 1
    assert refused > len(whole) // 2


def test_the_weights_of_another_are_noticed(tmp_path, weights):
    save_weights(Net(2.0), tmp_path / "other", {"size": "toy"})
    shutil.copy(weights / WEIGHTS, tmp_path / "other" / WEIGHTS)
    with pytest.raises(InputError, match="does not match the sha256 in its manifest"):
        load_weights(abstract(), tmp_path / "other")


# Memory

TOO_LARGE = [
    JaxRuntimeError("RESOURCE_EXHAUSTED: Out of memory allocating 21474836480 bytes."),
    MemoryError(),
]


@pytest.mark.parametrize("error", TOO_LARGE, ids=lambda e: type(e).__name__)
def test_too_little_memory_says_what_to_lower(tmp_path, start, monkeypatch, error):
    monkeypatch.setattr(predict, "make_tracker", failing_tracker(error))
    line = "out of memory: lower --image_size, or --size, or the number of subjects\n"
    assert start(tmp_path / "out") == (2, "", line)
    assert list(tmp_path.iterdir()) == []


def test_a_fault_of_ours_keeps_its_traceback(tmp_path, start, monkeypatch):
    def make(job):
        raise OSError(errno.EBADF, os.strerror(errno.EBADF))

    monkeypatch.setattr(predict, "make_tracker", make)
    with pytest.raises(OSError, match="Bad file descriptor"):
        start(tmp_path / "out")


@pytest.mark.parametrize("error", TOO_LARGE, ids=lambda e: type(e).__name__)
def test_too_little_memory_at_the_page(tmp_path, clip, monkeypatch, error):
    def click(*_):
        raise error

    monkeypatch.setattr(FakeSession, "click", click)
    with client_of(tmp_path / "state") as client:
        quiet = TestClient(client.app, client.base_url, raise_server_exceptions=False)
        session = quiet.post("/sessions", content=clip.read_bytes()).json()["id"]
        body = {"kind": "point", "frame": 0, "x": 1, "y": 1}
        answer = quiet.post(f"/sessions/{session}/prompts", json=body)
        assert answer.status_code == 507
        assert "track fewer objects" in answer.json()["error"]
