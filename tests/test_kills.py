"""`kill -9` at any time leaves complete results or none, and the next run works."""

import signal
from pathlib import Path

import jax.numpy as jnp
import pytest
from flax import nnx

from c2g_jax.checkpoints.safetensors import load_weights, parameters, save_weights
from c2g_jax.export.scene_graph_json import read_scene_graph
from c2g_jax.media.video import open_video
from c2g_jax.predict import __main__ as predict
from c2g_jax.types import InputError
from tests.clips import numbered_clip
from tests.commands import python
from tests.faked import fake_tracker, run_predict

# Code that kills the process at the N-th call of a function.
KILLED = """
import os, signal, sys
from unittest import mock
from c2g_jax.predict import __main__ as predict
from tests.faked import fake_tracker
place, number, *sys.argv = sys.argv[1:]
calls = 0
def killing(real):
    def call(*words, **options):
        global calls
        calls += 1
        if calls == int(number):
            os.kill(os.getpid(), signal.SIGKILL)
        return real(*words, **options)
    return call
real = __import__("pkgutil").resolve_name(place)
with mock.patch(place.replace(":", "."), killing(real)):
    with mock.patch("c2g_jax.predict.__main__.make_tracker", fake_tracker):
        predict.run()
"""
PLACES = [  # function, call, whether the folder has results of an earlier run
    (
        "c2g_jax.export.overlay:draw_frame",
        4,
        False,
    ),  # the graph is written, and half of the video
    ("pathlib:Path.replace", 1, False),  # all is written, nothing is renamed
    ("c2g_jax.export.overlay:draw_frame", 1, True),
    ("pathlib:Path.replace", 2, True),  # one of two results is renamed
]


@pytest.mark.parametrize(("place", "number", "again"), PLACES)
def test_a_killed_predict_leaves_whole_results_or_none(
    tmp_path, monkeypatch, capsys, place, number, again
):
    monkeypatch.setattr(predict, "make_tracker", fake_tracker)
    clip = numbered_clip(tmp_path / "a.mp4", 5, fps=5)
    output = tmp_path / "out"
    words = (f"--video={clip}", "--point=1,1", "--size=toy", f"--output={output}")
    if again:
        assert run_predict(monkeypatch, capsys, *words)[0] == 0
        old = (output / "scene_graph.json").read_bytes()
    # Another prompt, so that the two graphs differ.
    other = ("predict", *words, "--label=0")
    done = python("-c", KILLED, place, number, *other)
    assert done.returncode == -signal.SIGKILL, done.stderr
    if again:
        graph = read_scene_graph(output / "scene_graph.json")
        assert graph.video.num_frames == 5
        assert len(list(open_video(output / "overlay.mp4", fps=None))) == 5
        if number != 2:
            assert (output / "scene_graph.json").read_bytes() == old
    else:
        assert not output.exists()
    assert run_predict(monkeypatch, capsys, *words)[0] == 0
    names = sorted(path.name for path in output.iterdir())
    assert names == ["overlay.mp4", "scene_graph.json"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.mp4", "out"]


class Net(nnx.Module):
    def __init__(self, value: float):
        self.table = nnx.Param(jnp.full(4, value))


class Killed(BaseException):
    """Stands for a kill; not an Exception, so that nothing catches it."""


@pytest.mark.parametrize(("renames", "there"), [(0, False), (0, True), (1, True)])
def test_a_killed_save_is_noticed_or_was_not_there(
    tmp_path, monkeypatch, renames, there
):
    folder, real, done = tmp_path / "w", Path.replace, []
    if there:
        save_weights(Net(1.0), folder, {"size": "toy"})

    def replace(self, target):
        if len(done) == renames:
            raise Killed
        done.append(target)
        return real(self, target)

    monkeypatch.setattr(Path, "replace", replace)
    with pytest.raises(Killed):
        save_weights(Net(2.0), folder, {"size": "toy"})
    assert len(done) == renames
    if not there:
        assert not folder.exists()
        return
    abstract = nnx.eval_shape(lambda: Net(0.0))
    if renames:  # the manifest of the one, the weights of the other
        with pytest.raises(
            InputError, match="does not match the sha256 in its manifest"
        ):
            load_weights(abstract, folder)
    else:
        assert parameters(load_weights(abstract, folder))["table"].tolist() == [1] * 4
