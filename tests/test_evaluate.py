"""The main: from files to tables, being stopped in the middle, and what it refuses."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from absl import flags
from absl.testing import flagsaver

from c2g_jax import evaluate
from c2g_jax.data.dataset import open_dataset
from c2g_jax.evaluation import files, runner
from c2g_jax.evaluation.protocol import Protocol, video_truth
from c2g_jax.types import InputError
from tests.commands import ROOT
from tests.evaluation.predictions import write_truth

MODULE = "c2g_jax.evaluate"
CONFIG = ROOT / "configs" / "toy_pvsg.py"


@pytest.fixture(scope="module")
def dataset(prepared_toy):
    return open_dataset(prepared_toy, "toy_pvsg")


@pytest.fixture(scope="module")
def truth(dataset, tmp_path_factory):
    """All that is true of the split val, in two runs. Not to be written to."""
    folder = tmp_path_factory.mktemp("truth")
    write_truth(folder, dataset, dataset.videos("val"), runs=2)
    return folder


@pytest.fixture
def call(prepared_toy, truth, monkeypatch):
    """Runs main on the files with more flags, in this process."""

    def give(*more, predictions=truth, data=True):
        own = ["--noplots"]
        own += [f"--predictions={predictions}"] if predictions else []
        own += [f"--data_dir={prepared_toy}", "--name=toy_pvsg"] if data else []
        words = [MODULE, *own, *map(str, more)]
        monkeypatch.setattr(sys, "argv", words)
        with flagsaver.flagsaver():
            flags.FLAGS(words)
            evaluate.main([MODULE])

    return give


def results(folder):
    return {n: (folder / f"results.{n}").read_bytes() for n in ("json", "csv", "md")}


def scores_of(folder):
    document = json.loads((folder / "results.json").read_text())
    return document["toy_pvsg/val"]["predictions"]["point"]


def test_files_are_scored_without_jax(truth, prepared_toy, dataset, tmp_path):
    code = (
        "import atexit, runpy, sys\n"
        "told = lambda: print(*{'jax', 'torch'} & set(sys.modules), file=sys.stderr)\n"
        "atexit.register(told)\n"
        f"runpy.run_module({MODULE!r}, run_name='__main__')"
    )
    out = tmp_path / "out"
    words = [f"--predictions={truth}", f"--data_dir={prepared_toy}", "--name=toy_pvsg"]
    done = subprocess.run(
        [sys.executable, "-c", code, *words, f"--output={out}"],
        cwd=ROOT, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stderr.strip() == ""
    found = scores_of(out)
    assert found["R@3"] == found["SpIR"] == found["PLR"] == {"mean": 100, "std": 0}
    truths = [video_truth(v, Protocol()) for v in dataset.videos("val")]
    units = sum(t.counts["units"] for t in truths)
    assert f"{units:,} units" in done.stdout
    assert "metrics alone: " in done.stdout
    assert (out / "results.md").read_text() in done.stdout
    document = json.loads((out / "results.json").read_text())
    assert document["ground truth"]["units"] == units
    assert document["protocol"]["runs"] == 25
    assert document["provenance"]["predictions"]["files"] == len(
        list(truth.rglob("*.json"))
    )
    assert document["provenance"]["command"].endswith(f"--output={out}")


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
    assert "the same command goes on from there" in said
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


def test_a_model_is_scored_by_the_plan_of_the_tables(
    call, dataset, tmp_path, monkeypatch, capsys
):
    asked = {}

    def score_model(model, dataset, videos, protocol, systems, prompts, runs, advance):
        asked.update(model=model, systems=systems, prompts=prompts, runs=dict(runs))
        for video in videos:
            advance(video.num_frames)
            truth = video_truth(video, protocol)
            parts = {system: {} for system, _ in runs}
            for (system, kind), count in runs.items():
                parts[system][kind] = {
                    "subjects": {
                        own.subject_id: {
                            run: {"units": 4, "R@3": run, "pairs": 2, "PLR pairs": 0}
                            for run in range(count)
                        }
                        for own in truth.subjects
                    },
                    "official": {},
                }
            yield {
                "video": video.video_id,
                "source": video.source,
                "truth": truth.counts,
                "missing": {},
                "systems": parts,
            }

    monkeypatch.setattr(runner, "score_model", score_model)
    monkeypatch.setattr(evaluate, "load_model", lambda: "the model")
    weights = tmp_path / "weights"
    weights.mkdir()
    (weights / "manifest.json").write_text('{"size": "toy", "sha256": "abc"}')
    out = tmp_path / "out"
    words = [f"--checkpoint={weights}", "--tables=2,3,4", "--runs=3", f"--output={out}"]
    call(*words, "--runs_of=didm/box=2", predictions=None)
    assert asked["model"] == "the model"
    assert asked["runs"] == {
        ("didm", "point"): 3,
        ("didm", "mask"): 1,
        ("didm", "box"): 2,
        ("heuristic", "point"): 3,
        ("oracle", "point"): 1,
    }
    assert {*asked["systems"]} == {"didm", "heuristic", "oracle"}
    assert {*asked["prompts"]} == {"point", "mask", "box"}
    document = json.loads((out / "results.json").read_text())
    found = document["toy_pvsg/val"]
    assert found["didm"]["point"]["R@3"] == {"mean": 25, "std": 25}  # 0, 1, 2 of 4
    assert found["didm"]["point"]["SpIR"]["mean"] == 0
    assert found["didm"]["mask"]["R@3"] == {"mean": 0, "std": None}
    assert found["heuristic"]["point"]["PLR"]["mean"] is None
    assert document["provenance"]["checkpoint"] == "abc"
    page = capsys.readouterr().out
    for title in ("Table 2", "Table 3", "Table 4", "What could be reached"):
        assert f"## {title}" in page
    # Of another checkpoint nothing is taken over.
    (weights / "manifest.json").write_text('{"size": "toy", "sha256": "xyz"}')
    with pytest.raises(InputError, match=r'model.checkpoint: "abc" -> "xyz"'):
        call(*words, "--runs_of=didm/box=2", predictions=None)


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


def test_fewer_videos_and_then_the_others(call, tmp_path, dataset):
    out = tmp_path / "out"
    call(f"--output={out}", "--max_videos=1")
    video = dataset.videos("val")[0]
    units = video_truth(video, Protocol()).counts["units"]
    document = json.loads((out / "results.json").read_text())
    assert document["ground truth"]["units"] == units
    call(f"--output={out}")
    document = json.loads((out / "results.json").read_text())
    assert document["ground truth"]["videos"] == len(dataset.videos("val"))


def test_another_protocol_is_refused_with_the_difference(call, tmp_path):
    out = tmp_path / "out"
    call(f"--output={out}", "--max_videos=1")
    with pytest.raises(InputError, match=r"protocol.tau: 0.5 -> 0.75 \(there -> now\)"):
        call(f"--output={out}", "--tau=0.75")


def test_a_fault_in_the_files_leaves_nothing(call, truth, tmp_path):
    spoilt = shutil.copytree(truth, tmp_path / "spoilt")
    next(spoilt.iterdir()).rename(spoilt / "nobody")
    out = tmp_path / "out"
    with pytest.raises(InputError, match="nobody is no video of val"):
        call(f"--output={out}", predictions=spoilt)
    assert not (out / "scores").exists()


def test_the_configuration_names_the_data(call, prepared_toy, tmp_path):
    out = tmp_path / "out"
    words = [f"--config={CONFIG}", f"--config.data.dir={prepared_toy}"]
    evaluate.check([MODULE, *words])
    call(f"--output={out}", *words, "--max_videos=1", data=False)
    assert scores_of(out)["R@3"]["mean"] == 100
    with pytest.raises(InputError, match=r"--config.data.dirr: .*did you mean 'dir'"):
        evaluate.check([MODULE, words[0], "--config.data.dirr=x"])
    with pytest.raises(InputError, match=r"--config is missing"):
        evaluate.check([MODULE, words[1]])


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ([], "--output is missing: name a folder"),
        (["--output=out", "--ks=0"], "--ks=0: give numbers from 1"),
        (["--output=out", "--shard=2/2"], "--shard=2/2: write I/N"),
        (["--output=out", "--split=test"], "toy_pvsg has no split 'test': use one of"),
        (["--output=out", "--tables=2"], "--predictions are scored without a model"),
    ],
)
def test_what_cannot_be_done_is_said_in_a_line(call, words, says):
    with pytest.raises(InputError, match=says):
        call(*words)


def test_without_anything_to_score(call, tmp_path):
    out = f"--output={tmp_path / 'out'}"
    with pytest.raises(InputError, match="give --checkpoint or --predictions"):
        call(out, predictions=None)
    with pytest.raises(InputError, match="--tables=7: use some of 2, 3, 4"):
        call(out, "--tables=7", predictions=None)
    with pytest.raises(InputError, match="no checkpoint in nowhere"):
        call(out, "--checkpoint=nowhere", predictions=None)
    with pytest.raises(InputError, match=r"--data_dir is missing"):
        call(out, data=False)
    with pytest.raises(InputError, match=r"no VIDEO/SUBJECT/RUN.json in it"):
        call(out, predictions=Path("nowhere"))
    assert not (tmp_path / "out").exists()
