"""Scores of a part: stopped, killed, in shards, of fewer videos; and going on."""

import functools
import json
import shutil
import signal

import pytest

from c2g_jax import evaluate
from c2g_jax.evaluation import files
from c2g_jax.evaluation.ground_truth import video_truth
from c2g_jax.evaluation.protocol import Protocol
from c2g_jax.types import InputError
from tests.commands import call_main, python


@pytest.fixture
def call(prepared_toy, true_predictions):
    """Scores the files in this process, with more flags."""
    words = [f"--predictions={true_predictions}", f"--data_dir={prepared_toy}"]
    return functools.partial(
        call_main, evaluate.main, "--noplots", *words, "--name=toy_pvsg"
    )


def results(folder):
    return {n: (folder / f"results.{n}").read_bytes() for n in ("json", "csv", "md")}


def stopping_after(videos, error):
    """_score_video that raises once so many videos are scored."""
    score, done = files._score_video, []

    def stop(*args):
        if len(done) == videos:
            raise error
        done.append(args)
        return score(*args)

    return stop


def noting(seen):
    score = files._score_video

    def note(dataset, video, *args):
        seen.append(video.video_id)
        return score(dataset, video, *args)

    return note


def test_stopped_by_ctrl_c_it_keeps_what_it_has_and_goes_on(
    call, tmp_path, capsys, monkeypatch
):
    out = tmp_path / "out"
    call(f"--output={out}")
    whole = results(out)
    scores = (out / "scores/0-of-1.jsonl").read_bytes()
    shutil.rmtree(out)

    with monkeypatch.context() as patch:
        patch.setattr(files, "_score_video", stopping_after(2, KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            call(f"--output={out}")
    said = capsys.readouterr().err
    assert "2 of " in said
    assert "run the same command to resume" in said
    assert not (out / "results.json").exists()
    with monkeypatch.context() as patch:
        seen = []
        patch.setattr(files, "_score_video", noting(seen))
        call(f"--output={out}")
    videos = [json.loads(line)["video"] for line in scores.splitlines()[1:]]
    assert seen == videos[2:]
    assert results(out) == whole
    assert (out / "scores/0-of-1.jsonl").read_bytes() == scores
    # All is there: nothing is scored again.
    with monkeypatch.context() as patch:
        patch.setattr(files, "_score_video", stopping_after(0, AssertionError))
        call(f"--output={out}")
    assert results(out) == whole


def test_killed_in_the_middle_of_a_line_it_goes_on(call, tmp_path):
    out = tmp_path / "out"
    call(f"--output={out}")
    whole, path = results(out), out / "scores/0-of-1.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    shutil.rmtree(out)
    path.parent.mkdir(parents=True)
    path.write_bytes(b"".join(lines[:2]) + lines[2][:50])
    call(f"--output={out}")
    assert results(out) == whole
    assert path.read_bytes() == b"".join(lines)


def test_shards_make_one_result(call, tmp_path, capsys):
    whole, out = tmp_path / "whole", tmp_path / "shards"
    call(f"--output={whole}")
    capsys.readouterr()
    call(f"--output={out}", "--shard=1/2")
    assert "the shard that ends last writes the results" in capsys.readouterr().out
    assert not (out / "results.json").exists()
    call(f"--output={out}", "--shard=0/2")
    for name in ("csv", "md"):
        assert results(out)[name] == results(whole)[name]
    ours, theirs = (json.loads((f / "results.json").read_text()) for f in (out, whole))
    assert ours["provenance"].pop("command").endswith(f"--output={out}")
    theirs["provenance"].pop("command")
    assert ours == theirs


def test_fewer_videos_and_then_the_others(call, tmp_path, toy_dataset):
    out = tmp_path / "out"
    call(f"--output={out}", "--max_videos=1")
    video = toy_dataset.videos("val")[0]
    units = video_truth(video, Protocol()).counts["units"]
    document = json.loads((out / "results.json").read_text())
    assert document["ground truth"]["units"] == units
    call(f"--output={out}")
    document = json.loads((out / "results.json").read_text())
    assert document["ground truth"]["videos"] == len(toy_dataset.videos("val"))


def test_another_protocol_is_refused_with_the_difference(call, tmp_path):
    out = tmp_path / "out"
    call(f"--output={out}", "--max_videos=1")
    with pytest.raises(InputError, match=r"protocol.tau: 0.5 -> 0.75 \(there -> now\)"):
        call(f"--output={out}", "--tau=0.75")


@pytest.mark.parametrize("shard", ["0/1", "0/2"])
def test_a_file_that_is_refused_and_mended_leaves_nothing_in_the_way(
    call, true_predictions, tmp_path, shard
):
    spoilt, out = shutil.copytree(true_predictions, tmp_path / "files"), tmp_path / "o"
    words = f"--predictions={spoilt}", f"--output={out}"
    bad = sorted(spoilt.glob("*/*/1.json"))[-1]  # the videos before it could be scored
    whole = bad.read_bytes()
    bad.write_text("{}")
    with pytest.raises(InputError, match=f"{bad}: no schema_version"):
        call(*words, f"--shard={shard}")
    assert not out.exists()
    bad.write_bytes(whole)
    call(*words)
    found = json.loads((out / "results.json").read_text())["toy_pvsg/val"]
    assert found["predictions"]["point"]["R@3"] == {"mean": 100, "std": 0}


# `python -m c2g_jax.evaluate` that dies when half of a video's line is written.
KILLED = """
import json, os, runpy, signal, sys
from unittest import mock
from c2g_jax.evaluation import job
number, *sys.argv = sys.argv[1:]
real, lines = job._write, []
def write(file, line):
    lines.append(line)
    if len(lines) < int(number):
        return real(file, line)
    text = json.dumps(line)
    file.write(text[: len(text) // 2])
    file.flush()
    os.kill(os.getpid(), signal.SIGKILL)
with mock.patch.object(job, "_write", write):
    runpy.run_module("c2g_jax.evaluate", run_name="__main__")
"""


@pytest.mark.parametrize("number", [1, 3])  # the line that says what is scored; a video
def test_killed_for_good_the_same_command_ends_in_the_same_results(
    prepared_toy, true_predictions, tmp_path, capsys, number
):
    out = tmp_path / "out"
    words = [f"--predictions={true_predictions}", f"--data_dir={prepared_toy}"]
    words += ["--name=toy_pvsg", "--noplots", f"--output={out}"]
    call_main(evaluate.main, *words)
    whole = results(out)
    shutil.rmtree(out)

    done = python("-c", KILLED, number, "evaluate", *words)
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert [path.name for path in out.iterdir()] == ["scores"]
    (left,) = (out / "scores").iterdir()
    kept = left.read_bytes()
    assert kept.count(b"\n") == number - 1
    assert not kept.endswith(b"\n")

    capsys.readouterr()
    call_main(evaluate.main, *words)
    assert capsys.readouterr().err == ""
    assert results(out) == whole
    assert left.read_bytes().startswith(kept[: kept.rfind(b"\n") + 1])
    assert sorted(path.name for path in out.iterdir()) == [
        "results.csv", "results.json", "results.md", "scores"
    ]  # fmt: skip
