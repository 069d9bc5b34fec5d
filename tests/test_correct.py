"""The main of simulated users, in a scripted world."""

import contextlib
import json

import pytest
from absl import flags
from absl.testing import flagsaver

from c2g_jax import correct
from c2g_jax.checkpoints import description, heads
from c2g_jax.checkpoints import safetensors as weights
from c2g_jax.correction import simulate
from c2g_jax.evaluation.metrics import score_subject
from c2g_jax.evaluation.protocol import Protocol
from c2g_jax.media.rle import decode_mask
from c2g_jax.types import InputError
from tests.commands import refusal
from tests.session import scripted
from tests.session.conftest import make_session, world  # noqa: F401
from tests.session.true_things import VOCABULARY, dataset, object_class

NAMES = ("a", "b", "c")


@pytest.fixture
def data(world, monkeypatch):  # noqa: F811
    """Three videos of thing 1 with two cups, which look alike, and with thing 21."""
    world.finds = lambda thing, frame: (11, 12, 21)
    things = {1: 1, 11: object_class("cup"), 12: object_class("cup"), 21: 21}
    spans = [(1, i, VOCABULARY.predicates[i], 0, 11) for i in (11, 12, 21)]
    data = dataset(world, things, spans, NAMES)
    monkeypatch.setattr(correct, "open_dataset", lambda folder, name: data)
    for module in (weights, heads):
        monkeypatch.setattr(
            module, "read_manifest", lambda folder: {"sha256": str(folder)}
        )
    monkeypatch.setattr(heads, "load_model", lambda *_, **__: (scripted.model(), None))
    monkeypatch.setattr(description, "describe_weights", lambda *_: "weights: scripted")
    return data


@contextlib.contextmanager
def given(**values):
    if not flags.FLAGS.is_parsed():
        flags.FLAGS.mark_as_parsed()
    with flagsaver.flagsaver(**{"data_dir": "data", "checkpoint": "weights"} | values):
        yield


def run(output, **values):
    with given(output=str(output), **values):
        correct.main([])


def written(output):
    return json.loads((output / "corrections.json").read_text())["after corrections"]


def test_corrections_raise_recall(data, tmp_path, capsys):
    run(tmp_path / "new")
    found = written(tmp_path / "new")
    assert list(found) == ["0", "1", "2", "4"]
    assert [found[n]["recall"] for n in found] == pytest.approx([100 / 3, *[100] * 3])
    assert [found[n]["made"] for n in found] == [0, 1, 1, 1]
    assert found["1"]["gain"] == pytest.approx(
        {"mean": 200 / 3, "error": 0, "videos": 3}
    )
    assert found["1"]["untouched gain"] == {"mean": 0, "error": 0, "videos": 3}
    page = (tmp_path / "new" / "corrections.md").read_text()
    assert page in capsys.readouterr().out
    assert "| 1 | 1.00 | 100.00 | +66.67 ± 0.00 | 100.00 | +0.00 ± 0.00 |" in page


def test_what_is_done_is_not_done_again(data, tmp_path, monkeypatch):
    run(tmp_path / "whole")
    begun, real = [], simulate.simulate

    def cut(session, truth, *rest):
        begun.append(truth.video_id)
        if len(begun) == 2:
            raise KeyboardInterrupt
        return real(session, truth, *rest)

    monkeypatch.setattr(simulate, "simulate", cut)
    output = tmp_path / "cut"
    with pytest.raises(KeyboardInterrupt):
        run(output)
    assert not (output / "corrections.json").exists()
    run(output)
    assert begun == ["a", "b", "b", "c"]
    for name in ("corrections.json", "corrections.md"):
        whole = (tmp_path / "whole" / name).read_bytes()
        assert (output / name).read_bytes() == whole
    run(output)
    assert len(begun) == 4
    with pytest.raises(InputError, match="corrections"):
        run(output, corrections=["0", "3"])


def test_so_many_videos_and_no_more(data, tmp_path):
    run(tmp_path / "two", max_videos=2, corrections=["1"])
    assert written(tmp_path / "two")["1"]["gain"]["videos"] == 2


def test_how_far_a_correction_pulls(data, tmp_path):
    """With hardly any reach, one word no longer mends the other cup."""
    run(tmp_path / "near", adapt_width=0.01, corrections=["1", "2"])
    found = written(tmp_path / "near")
    assert [found[n]["recall"] for n in found] == pytest.approx([100 / 3, 200 / 3, 100])
    with pytest.raises(InputError, match="width"):
        run(tmp_path / "near", corrections=["1", "2"])


def test_a_user_clicks_where_a_subject_first_interacts(data, make_session):  # noqa: F811
    protocol = Protocol(runs=1)
    truth = simulate.read_truth(data, data.videos("val")[0], protocol)
    session = make_session()
    outcome = simulate.simulate(session, truth, protocol, (0,))[0]
    ((frame, said),) = session.history()[0].objects[1].prompts.items()
    (item,) = said.items
    x, y = map(int, item.point)
    assert frame == truth.subjects[0].frames[0]
    assert decode_mask(truth.frames[frame].masks[1])[y, x]
    # What is reported is the score of the metrics themselves.
    counts = score_subject(truth.subjects[0], outcome.guesses[1], frame, protocol)
    assert (counts["R@3"], counts["units"]) == (12, 36)


@pytest.mark.parametrize(
    ("values", "line"),
    [
        (dict(output=None), "--output is missing"),
        (dict(data_dir=None), "--data_dir is missing"),
        (dict(checkpoint=None), "--checkpoint is missing"),
        (dict(corrections=["two"]), "--corrections=two: give numbers from 0"),
        (dict(corrections=["-1"]), "--corrections=-1: give numbers from 0"),
        (dict(data_dir="nowhere"), "no prepared data set"),
    ],
)
def test_what_cannot_be_done_is_named(tmp_path, values, line):
    flags_given = given(**{"output": str(tmp_path / "out")} | values)
    with flags_given, pytest.raises(InputError, match=line) as error:
        correct.main([])
    assert "\n" not in str(error.value)
    assert not list(tmp_path.iterdir())


def test_a_refusal_is_one_line_and_exit_code_two():
    assert "--output is missing" in refusal("c2g_jax.correct", "--max_videos=1")


def test_a_split_that_is_none_is_one_line_too(prepared_toy, tmp_path):
    """Opening the data set says nothing of its own."""
    words = f"--data_dir={prepared_toy}", "--name=toy_pvsg", "--checkpoint=weights"
    line = refusal("c2g_jax.correct", *words, f"--output={tmp_path}/o", "--split=nope")
    assert line.startswith("toy_pvsg has no split 'nope': use one of train, val")
