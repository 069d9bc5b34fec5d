"""Flags that are paths, in all commands."""

import ast
import sys
from pathlib import Path

import pytest
from absl import flags

from c2g_jax.cli.paths import PATH
from c2g_jax.media.outputs import path_named
from c2g_jax.predict import __main__ as predict
from c2g_jax.training.config_files import check_overrides
from tests.clips import numbered_clip
from tests.commands import ROOT
from tests.faked import fake_tracker, run_predict

# Flags of text that is no path.
WORDS = {"name", "dtype", "box", "size", "shard", "profile_steps", "split", "url"}
WORDS |= {"host"}
FOLDERS = ("c2g_jax", "porting", "benchmarks", "tools")


def defined(function: str) -> set[str]:
    """Names of the flags that all commands define by a function of `flags`."""
    found = set()
    for path in (p for folder in FOLDERS for p in (ROOT / folder).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == function:
                position = 1 if function == "flags.DEFINE" else 0
                found.add(ast.literal_eval(node.args[position]))
    return found


def test_every_flag_of_text_is_a_path_or_known_not_to_be_one():
    assert defined("flags.DEFINE_string") == WORDS
    paths = defined("flags.DEFINE")
    assert {"output", "video", "checkpoint", "workdir", "state", "mask"} <= paths
    assert len(paths) == 26


def test_the_users_home_is_expanded(monkeypatch):
    monkeypatch.setenv("HOME", "/home/anna")
    values = flags.FlagValues()
    flags.DEFINE(PATH, "place", "~/default", "A place.", flag_values=values)
    values(["command"])
    assert values.place == "/home/anna/default"
    for given, want in {
        "~/x": "/home/anna/x",
        "~": "/home/anna",
        "a/~/x": "a/~/x",
        "~nobody-of-that-name/x": "~nobody-of-that-name/x",
        "": "",
    }.items():
        values(["command", f"--place={given}"])
        assert values.place == want
    assert path_named("~/x") == Path("/home/anna/x")


def test_predict_writes_to_the_home(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(predict, "make_tracker", fake_tracker)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    numbered_clip(tmp_path / "clip.mp4", 2)
    words = ("--video=~/clip.mp4", "--output=~/out", "--size=toy", "--point=1,1")
    code, _, err = run_predict(monkeypatch, capsys, *words)
    assert (code, err) == (0, "")
    assert (tmp_path / "out" / "scene_graph.json").is_file()
    assert not (tmp_path / "~").exists()


@pytest.mark.parametrize("joined", [True, False])
def test_paths_in_a_configuration(monkeypatch, joined):
    monkeypatch.setenv("HOME", str(ROOT))
    config = ["--config=~/configs/toy_pvsg.py"]
    if not joined:
        config = ["--config", "~/configs/toy_pvsg.py"]
    given = check_overrides([sys.argv[0], *config, "--config.data.dir=~/data"])
    assert given[1:] == [
        f"--config={ROOT}/configs/toy_pvsg.py",
        f"--config.data.dir={ROOT}/data",
    ]
