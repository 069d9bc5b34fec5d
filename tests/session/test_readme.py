"""The README's examples of a session run as printed."""

import json
import re

import numpy as np
import pytest

from c2g_jax.checkpoints import pretrained
from c2g_jax.checkpoints.pretrained import save_click2graph
from c2g_jax.export.scene_graph_json import read_scene_graph
from tests.clips import write_clip
from tests.commands import ROOT
from tests.session.bold import random_model
from tests.session.conftest import everything

README = ROOT / "README.md"
WIDTH, HEIGHT = 640, 360


def examples() -> list[str]:
    """The programs of the section on sessions."""
    text = README.read_text(encoding="utf-8")
    (section,) = re.findall(
        r"^## Python: an interactive session\n(.*?)^## ", text, re.DOTALL | re.MULTILINE
    )
    return re.findall(r"^```python\n(.*?)^```", section, re.DOTALL | re.MULTILINE)


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """In the place of those that ship."""
    folder = tmp_path_factory.mktemp("weights") / "toy"
    save_click2graph(random_model(), folder)
    return folder


@pytest.fixture
def clip(world, weights, tmp_path, monkeypatch):
    """The example's clip.mp4, its things where it clicks, in the folder to be in."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(pretrained, "TOY_CHECKPOINT", weights)

    def around(x, y):  # the small cells, 16 x 16 of them over the frame
        return world.still(round(16 * y / HEIGHT) - 2, round(16 * x / WIDTH) - 2)

    world.places = {1: around(310, 220), 11: around(120, 120), 2: around(480, 95)}
    world.places[21] = around(120, 300)
    shape = HEIGHT, WIDTH, 3
    frames = [np.full(shape, 10 + 8 * t, np.uint8) for t in range(12)]
    return write_clip(tmp_path / "clip.mp4", frames, fps=5)


def test_the_first_example_runs_as_printed(clip, tmp_path, capsys):
    names = {}
    exec(examples()[0], names)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 12
    assert lines[-1].startswith("12 of 12 (RelationView(subject_id=1, object_id=2,")
    graph = read_scene_graph(tmp_path / "scene_graph.json")
    (relation,) = graph.relations
    assert (relation.subject_id, relation.object_id) == (1, 2)
    assert relation.spans == ((0, 11),)
    coco = json.loads((tmp_path / "coco.json").read_text())
    assert len(coco["annotations"]) == 2 * 12
    names["session"].close()


def test_all_examples_run_one_after_the_other(clip, tmp_path):
    names = {}
    *first, by_hand = examples()
    for number, text in enumerate(first):
        if number:
            before = names["session"]
        exec(text, names)
    session = names["session"]
    assert session is not before
    # One and another subject, what each was found with, and what was added by hand.
    objects = {o.object_id: o for o in session.objects()}
    assert objects[1].prompted == (0, 8)
    assert objects[2].category == "cup"
    assert [o.role for o in objects.values()].count("subject") == 2
    assert any(o.prompted == (8,) and o.subject_ids == (1,) for o in objects.values())
    assert not any(r.fixed for r in session.relations())  # undone
    assert session.can_redo
    assert session.redo() == "1 holding 2"
    (fixed,) = [r for r in session.relations() if r.fixed]
    assert (fixed.predicate, fixed.spans) == ("holding", ((3, 9),))
    session.undo()
    assert everything(session)["stale"] == []
    exec(by_hand, names)
    (drawn,) = [r for r in session.relations() if r.predicate == "beside"]
    assert (drawn.subject_id, drawn.object_id) == (1, 2)
    assert drawn.spans == ((0, 2), (4, 6), (9, 11))
    objects = {o.object_id: o for o in session.objects()}
    assert (objects[2].category, objects[2].role) == ("welding torch", "subject")
    assert names["new_id"] not in objects
    session.close()
