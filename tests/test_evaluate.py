"""The main: from files or a model to tables, and what it refuses."""

import json
import shutil
from pathlib import Path

import pytest

from c2g_jax import evaluate
from c2g_jax.evaluation import runner
from c2g_jax.evaluation.ground_truth import video_truth
from c2g_jax.evaluation.protocol import Protocol
from c2g_jax.types import InputError
from tests.commands import ROOT, call_main, run_and_name

MODULE = "c2g_jax.evaluate"
CONFIG = ROOT / "configs" / "toy_pvsg.py"


@pytest.fixture
def call(prepared_toy, true_predictions):
    """Runs main on the files with more flags, in this process."""

    def give(*more, predictions=true_predictions, data=True):
        own = ["--noplots"]
        own += [f"--predictions={predictions}"] if predictions else []
        own += [f"--data_dir={prepared_toy}", "--name=toy_pvsg"] if data else []
        call_main(evaluate.main, *own, *more)

    return give


def scores_of(folder):
    document = json.loads((folder / "results.json").read_text())
    return document["toy_pvsg/val"]["predictions"]["point"]


def test_files_are_scored_without_jax(
    true_predictions, prepared_toy, toy_dataset, tmp_path
):
    out = tmp_path / "out"
    words = [f"--predictions={true_predictions}", f"--data_dir={prepared_toy}"]
    words += ["--name=toy_pvsg", f"--output={out}"]
    done = run_and_name({"jax", "torch"}, MODULE, *words)
    assert done.returncode == 0, done.stderr
    assert done.stderr.strip() == ""
    found = scores_of(out)
    assert found["R@3"] == found["SpIR"] == found["PLR"] == {"mean": 100, "std": 0}
    truths = [video_truth(v, Protocol()) for v in toy_dataset.videos("val")]
    units = sum(t.counts["units"] for t in truths)
    assert f"{units:,} units" in done.stdout
    assert "metrics alone: " in done.stdout
    assert (out / "results.md").read_text() in done.stdout
    document = json.loads((out / "results.json").read_text())
    assert document["ground truth"]["units"] == units
    assert document["protocol"]["runs"] == 25
    assert document["provenance"]["predictions"]["files"] == len(
        list(true_predictions.rglob("*.json"))
    )
    assert document["provenance"]["command"].endswith(f"--output={out}")


def test_a_model_is_scored_by_the_plan_of_the_tables(
    call, tmp_path, monkeypatch, capsys
):
    asked = {}

    def score_model(model, dataset, videos, protocol, plan, advance):
        asked.update(model=model, plan=dict(plan))
        for video in videos:
            advance(video.num_frames)
            truth = video_truth(video, protocol)
            parts = {system: {} for system, _ in plan}
            for (system, kind), count in plan.items():
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
    write_manifest(weights, sha256="abc", click2graph={})
    out = tmp_path / "out"
    words = [f"--checkpoint={weights}", "--tables=2,3,4", "--runs=3", f"--output={out}"]
    call(*words, "--runs_of=didm/box=2", predictions=None)
    assert asked["model"] == "the model"
    assert asked["plan"] == {
        ("didm", "point"): 3,
        ("didm", "mask"): 1,
        ("didm", "box"): 2,
        ("heuristic", "point"): 3,
        ("oracle", "point"): 1,
    }
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
    write_manifest(weights, sha256="xyz", click2graph={})
    with pytest.raises(InputError, match=r'model.checkpoint: "abc" -> "xyz"'):
        call(*words, "--runs_of=didm/box=2", predictions=None)


def write_manifest(folder, **entries):
    document = {"size": "toy", **entries}
    (folder / "manifest.json").write_text(json.dumps(document))


def test_sam2_alone_is_scored_without_didm(call, tmp_path, monkeypatch):
    plans = []

    def score_model(model, dataset, videos, protocol, plan, advance):
        plans.append(dict(plan))
        raise InputError("enough")

    monkeypatch.setattr(runner, "score_model", score_model)
    monkeypatch.setattr(evaluate, "load_model", lambda: "the model")
    weights = tmp_path / "weights"
    weights.mkdir()
    write_manifest(weights, sha256="abc")
    words = [f"--checkpoint={weights}", "--runs=3", f"--output={tmp_path / 'out'}"]
    with pytest.raises(InputError, match="enough"):
        call(*words, predictions=None)
    assert plans == [{("heuristic", "point"): 3, ("oracle", "point"): 3}]
    for more in ("--tables=2", "--systems=didm,oracle"):
        with pytest.raises(InputError, match="alone, so there is no DIDM to score"):
            call(*words, more, predictions=None)


def test_a_fault_in_the_files_leaves_nothing(call, true_predictions, tmp_path):
    spoilt = shutil.copytree(true_predictions, tmp_path / "spoilt")
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
    with pytest.raises(InputError, match="no checkpoint in nowhere: "):
        call(out, "--checkpoint=nowhere", predictions=None)
    with pytest.raises(InputError, match=r"--data_dir is missing"):
        call(out, data=False)
    with pytest.raises(InputError, match=r"no VIDEO/SUBJECT/RUN.json in it"):
        call(out, predictions=Path("nowhere"))
    assert not (tmp_path / "out").exists()
