"""The plots have the numbers of the JSON; their look is not tested."""

import pytest

pytest.importorskip("matplotlib")

import numpy as np
from matplotlib.figure import Figure
from PIL import Image

from c2g_jax.evaluation import plots

ONE = {"mean": 40.0, "std": 5.0}
NONE = {"mean": None, "std": None}


def document(confusion, plr=NONE):
    part = {"R@3": ONE, "SpIR": {"mean": 60.0, "std": None}, "PLR": plr}
    part |= {"sources": {"x": dict(part), "y": {}}, "confusion": confusion}
    official = {"PVSG R@20": ONE, "sources": {}}
    return {
        "dataset": "d/val",
        "d/val": {"didm": {"point": part}, "predictions": {"prompt": official}},
        "protocol": {"ks": [3]},
    }


@pytest.fixture
def drawn(monkeypatch):
    """The figures that are saved, by file name."""
    found, save = {}, Figure.savefig

    def keep(self, path, **options):
        found[path.name] = self
        save(self, path, **options)

    monkeypatch.setattr(Figure, "savefig", keep)
    return found


def test_scores_by_source_with_deviations(tmp_path, drawn):
    plots.draw_results(document({}), tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["scores.png"]
    with Image.open(tmp_path / "scores.png") as image:
        assert image.format == "PNG"
    first, second, third = drawn["scores.png"].axes
    assert [a.get_title() for a in (first, second, third)] == ["R@3", "SpIR", "PLR"]
    ticks = [label.get_text() for label in first.get_xticklabels()]
    assert ticks == ["x", "y", "all sources"]
    # What is not known is no bar.
    assert [bar.get_height() for bar in first.patches] == [40, 0, 40]
    assert [bar.get_height() for bar in third.patches] == [0, 0, 0]
    ((low, high),) = [
        (segment[0][1], segment[1][1])
        for segment in first.collections[0].get_segments()[:1]
    ]
    assert (low, high) == (35, 45)


def test_a_single_run_has_no_deviation_and_equal_ones_have_one_of_zero(tmp_path, drawn):
    plots.draw_results(document({}, plr={"mean": 20.0, "std": 0.0}), tmp_path)
    panels = {axis.get_title(): axis for axis in drawn["scores.png"].axes}

    def deviations(name):
        (bars,) = panels[name].collections
        # What is not known has a segment without ends.
        return [np.ptp(s[:, 1]) for s in map(np.array, bars.get_segments()) if s.size]

    assert deviations("R@3") == [10, 10]  # source y is not known
    assert deviations("SpIR") == []
    assert deviations("PLR") == [0, 0]


def test_confusion_of_predicates(tmp_path, drawn):
    said = {"on": {"on": 30, "over": 10}, "in": {"in": 2000, "under": 2000}}
    plots.draw_results(document(said), tmp_path)
    axis = drawn["confusion.png"].axes[0]
    assert [label.get_text() for label in axis.get_yticklabels()] == ["on", "in"]
    columns = [label.get_text() for label in axis.get_xticklabels()]
    assert columns == ["on", "in", "(others)"]
    (image,) = axis.images
    assert image.get_array().tolist() == [[0.75, 0, 0.25], [0, 0.5, 0.5]]
    assert [text.get_text() for text in axis.texts] == ["30", "10", "2k", "2k"]


def test_loss_curves(tmp_path, drawn):
    lines = [
        {"step": 20, "time": 1.0, "loss": 3.0, "dice": 1.0, "lr/didm": 0.1},
        {"step": 40, "time": 2.0, "loss": 2.0, "dice": 0.5, "steps_per_second": 9},
        {"step": 40, "time": 2.0, "val/loss": 2.5},
    ]
    plots.draw_losses(lines, "run", tmp_path / "losses.png")
    loss, dice = drawn["losses.png"].axes
    assert (loss.get_title(), dice.get_title()) == ("loss", "dice")
    training, validation = loss.lines
    assert training.get_xydata().tolist() == [[20, 3], [40, 2]]
    assert validation.get_xydata().tolist() == [[40, 2.5]]
    assert len(dice.lines) == 1
