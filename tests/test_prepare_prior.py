"""`python -m c2g_jax.prepare --prior`: what it writes and refuses; beside a set."""

import functools
import json
import os
from pathlib import Path

import pytest

from c2g_jax import prepare
from c2g_jax.click2graph.prior import read_prior
from c2g_jax.data.dataset import open_annotations
from c2g_jax.types import InputError
from c2g_jax.vocabulary import load_vocabulary
from tests.commands import ROOT, call_main, refusal
from tests.datasets import drawn

call = functools.partial(call_main, prepare.main)
FILES = ["prior.json", "prior_scores.json", "prior_scores.md"]


def count(folder, content) -> Path:
    """Count the prior of an annotation file with this content."""
    drawn.write_json(folder, content)
    flags = f"--annotations={folder}/pvsg.json", f"--output={folder}/out"
    call("--prior", *flags)
    return folder / "out"


def named(path) -> dict[tuple[str, str, str], int]:
    """The counts of a prior.json by name."""
    content = json.loads(Path(path).read_text())
    names = content["vocabulary"]
    objects = names["thing"] + names["stuff"]
    return {
        (objects[s], objects[o], names["predicate"][p]): n
        for s, o, p, n in content["counts"]
    }


def test_counts_each_relation_of_the_training_split_once(tmp_path, capsys):
    content = drawn.annotations()
    first = content["data"][0]
    first["relations"] += [
        [3, 1, "on", [[2, 4]]],
        [3, 1, "on", [[7, 9]]],  # annotated twice
        [3, 3, "on", [[0, 1]]],  # with itself
        [3, 2, "juggling", [[0, 1]]],  # outside the vocabulary
        [2, 3, "on", [[50, 60]]],  # after the end
    ]
    out = count(tmp_path, content)
    assert named(out / "prior.json") == {
        ("dog", "cup", "chasing"): 2,
        ("cup", "wall", "in front of"): 2,
        ("dog", "wall", "on"): 1,
    }
    said = capsys.readouterr().out
    assert "5 relations of 2 training videos" in said
    assert "7 of 11 annotated relations are used" in said
    assert (out / "prior_scores.md").read_text() in said
    assert sorted(p.name for p in out.iterdir()) == FILES
    prior = read_prior(out / "prior.json", load_vocabulary())
    assert len(prior.origin["sha256"]) == 64
    assert prior.origin["folds"] == 2
    scores = json.loads((out / "prior_scores.json").read_text())
    assert scores["val"]["prior"]["R@1"] == 100
    assert scores["val"]["pairs seen"] == 100
    assert scores["train"]["relations"] == 5


def test_without_validation_videos_there_are_no_scores(tmp_path, capsys):
    content = drawn.annotations()
    count(tmp_path, content)
    content["split"]["drawn"]["val"] = []
    out = count(tmp_path, content)
    assert (
        "Not scored: there is no relation in the split val" in capsys.readouterr().out
    )
    assert [p.name for p in out.iterdir()] == FILES[:1]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"split": {}}, "no relation in the videos of its split train"),
        ({"split": {"drawn": {"val": ["0001_1"]}}}, "no relation in the videos"),
        ({"data": []}, "no relation in the videos"),
        ({"objects": {"thing": [], "stuff": []}}, r"none of the \d+ relations .* used"),
        ({"relations": []}, r"none of the \d+ relations of its split train"),
        ({"split": None}, "split is null, not a dictionary"),
    ],
)
def test_files_without_training_relations_are_refused(tmp_path, change, says):
    with pytest.raises(InputError, match=says):
        count(tmp_path, drawn.annotations() | change)
    assert [p.name for p in tmp_path.iterdir()] == ["pvsg.json"]


def test_a_file_without_splits_is_refused(tmp_path):
    content = drawn.annotations()
    del content["split"]
    drawn.write_json(tmp_path, content)
    flags = f"--annotations={tmp_path}/pvsg.json", f"--output={tmp_path}/out"
    line = refusal("c2g_jax.prepare", "--prior", *flags)
    assert "not a pvsg.json, which has objects, relations, split, data" in line
    (tmp_path / "pvsg.json").write_text("")
    with pytest.raises(InputError, match="not JSON"):
        call("--prior", *flags)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("flags", "says"),
    [
        (("--prior",), "--prior needs --annotations"),
        (("--prior", "--annotations=pvsg.json"), "--prior needs --output"),
        (("--prior", "--annotations=no.json", "--output=/tmp/none"), "no.json: No su"),
        (("--prior", "--annotations=x", "--output=README.md"), "README.md is a file"),
        (("--prior", "--audit"), "--audit and --prior together"),
        (("--prior", "--toy"), "--prior and --toy together"),
        (("--prior", "--manual_dir=x"), "--prior and --manual_dir together"),
        (("--prior", "--data_dir=x"), "--prior and --data_dir together"),
        (("--annotations=x",), "--annotations needs --audit or --prior"),
    ],
)  # fmt: skip
def test_refuses_flags(flags, says, monkeypatch):
    monkeypatch.chdir(ROOT)
    with pytest.raises(InputError, match=says):
        call(*flags)


def test_a_prepared_set_has_its_prior_beside_it(tmp_path):
    tree = drawn.write_tree(tmp_path / "tree")
    (tree / "drawn/videos/0001_1.mp4").write_bytes(b"")  # that video is left out
    flags = [f"--manual_dir={tree}", f"--data_dir={tmp_path}", "--workers=1"]
    call(*flags, "--config_names=default")
    path = tmp_path / "open_pvsg/prior.json"
    assert not path.exists()  # the annotations are in the config videos
    call(*flags, "--config_names=videos")
    want = {("dog", "cup", "chasing"): 1, ("cup", "wall", "in front of"): 1}
    assert named(path) == want
    origin = json.loads((path.parent / "origin.json").read_text())
    prior = read_prior(path, load_vocabulary())
    assert prior.origin["sha256"] == origin["pvsg.json"]
    assert (prior.origin["videos"], prior.origin["folds"]) == (1, 0)
    names, videos = open_annotations(tmp_path)
    assert names == load_vocabulary()
    assert [v.split for v in videos] == ["drawn_train", "drawn_val"]
    path.unlink()  # as where the run was killed before
    call(*flags, "--config_names=videos")
    assert named(path) == want


def test_figures_of_the_released_file(tmp_path):
    places = (os.environ.get("PVSG_JSON"), ROOT.parent / "shared/pvsg/pvsg.json")
    found = [path for path in places if path and Path(path).is_file()]
    if not found:
        pytest.skip("no released pvsg.json here: name it by PVSG_JSON=...")
    call("--prior", f"--annotations={found[0]}", f"--output={tmp_path}")
    scores = json.loads((tmp_path / "prior_scores.json").read_text())
    published = json.loads((ROOT / "docs/results.json").read_text())["open_pvsg/val"]
    assert published.pop("command").startswith("python -m c2g_jax.prepare --prior ")
    assert scores == {"train": published.pop("train"), "val": published}
    assert scores["train"]["relations"] == 3590
    assert scores["val"]["relations"] == 954
