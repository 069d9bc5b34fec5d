"""Graphs found without prompts, scored by hand-counted annotations."""

from types import SimpleNamespace

import numpy as np

from c2g_jax.evaluation import runner, scene_predictions
from c2g_jax.evaluation.automatic import RUN, score_graphs, with_best_predicates
from c2g_jax.evaluation.counting import ALL, ONE, WAYS, way_name
from c2g_jax.evaluation.plan import AUTO
from c2g_jax.evaluation.predictions import UNTHRESHOLDED
from c2g_jax.evaluation.results import summarise
from c2g_jax.media.rle import encode_mask
from c2g_jax.tracking.scene_graph import GraphBuilder
from c2g_jax.types import SubjectFrame, Triplet, VideoInfo
from c2g_jax.vocabulary import Vocabulary
from tests.evaluation.all_parts import score
from tests.evaluation.scenes import row, video
from tests.evaluation.scripted_model import Drawn
from tests.scripted import model

# Objects 1 and 2 have the categories 11 and 12.
NAMES = Vocabulary(tuple(f"thing {i}" for i in range(20)), (), ("on", "by", "near"))
SEGMENTS = np.stack([row(1, 1, 2, 2)] * 4)
# 1 is by 2 on all frames, and near it on the first two: six units.
VIDEO = video(SEGMENTS, [(1, 2, 1, 0, 3), (1, 2, 2, 0, 1)])


class Prepared:
    vocabulary = NAMES

    def read_masks(self, record, numbers):
        return SEGMENTS[list(numbers)]


def graph():
    """Subject 1 is right, subject 2 too but without a right relation."""
    builder = GraphBuilder(encode_mask, UNTHRESHOLDED)
    masks = {i: encode_mask(SEGMENTS[0] == i) for i in (1, 2)}
    words = ("thing 11", "thing 12")
    for t in range(4):
        said = [("by", 0.6), ("near", 0.5), ("on", 0.1)]
        first = tuple(Triplet(2, *words, *x) for x in said)
        second = tuple(Triplet(1, *words[::-1], *x) for x in said)
        entries = [
            SubjectFrame(t, 1, np.zeros((0, 2)), first),
            SubjectFrame(t, 2, np.zeros((0, 2)), second),
        ]
        builder.add_encoded(t, masks, entries, {1: None, 2: None})
    return builder.build(VideoInfo("v", 4, 1, 5.0, (0.0, 0.2, 0.4, 0.6)), {})


def test_the_best_predicates_alone():
    best = with_best_predicates(graph())
    assert {x.predicate for f in best.frames for x in f.triplets} == {"by"}
    pairs = {(r.subject_id, r.object_id): r.spans for r in best.relations}
    assert pairs == {(1, 2): ((0, 3),), (2, 1): ((0, 3),)}
    assert [o.masks for o in best.objects] == [o.masks for o in graph().objects]


def test_the_four_ways_and_the_subjects_found():
    whole = graph()
    graphs = {ONE: with_best_predicates(whole), ALL: whole}
    scores = score_graphs(graphs, Prepared(), VIDEO)
    hits = {}
    for way in WAYS:
        counts = scores["ways"][RUN][way_name(*way)]
        hits[way] = tuple(
            sum(n for name, n in counts.items() if name.startswith(start))
            for start in ("R@20 ", "relations ")
        )
    assert hits == {
        ("frame", "one"): (4, 6),  # by, on each frame
        ("frame", "all"): (6, 6),
        ("whole relation", "one"): (1, 2),
        ("whole relation", "all"): (2, 2),
    }
    video_scores = {
        "video": "v",
        "source": "toy",
        "systems": {"auto": {"none": _as_json(scores)}},
    }
    found = summarise([video_scores], (3,), NAMES.predicates)["auto"]["none"]
    assert found["R@20 (frame, one)"]["mean"] == 100 * 4 / 6
    assert found["mR@100 (frame, one)"]["mean"] == 50  # by 4 of 4, near 0 of 2
    assert found["R@50 (whole relation, all)"]["mean"] == 100
    assert found["PVSG R@20"]["mean"] == 100
    assert found["subjects found"]["mean"] == 100
    assert "R@3" not in found


def _as_json(scores):
    return {
        name: {str(run): counts for run, counts in own.items()}
        for name, own in scores.items()
    }


def test_nothing_found_hits_nothing():
    builder = GraphBuilder(encode_mask, UNTHRESHOLDED)
    empty = builder.build(VideoInfo("v", 4, 1, 5.0, (0.0,)), {})
    scores = score_graphs({ONE: empty, ALL: empty}, Prepared(), VIDEO)
    counts = scores["ways"][RUN]
    assert counts["subjects"] == {"subject frames": 4, "subjects found": 0}
    assert not any(n.startswith("R@") and v for n, v in counts["frame, all"].items())
    assert SimpleNamespace(**scores).official[RUN]["relations 1"] == 1


def test_clicks_beside_it_are_scored_together_too(monkeypatch):
    dataset = (drawn := Drawn(seed=5, lengths=(12, 10, 8))).dataset()
    drawn.careless(seed=1).install(monkeypatch)
    clicks = {("didm", "point"): 2}
    plain = score(dataset, plan=clicks)

    def confidences(sch, scene, subject, rows):
        """The best predicate as it is, all others far behind every best one."""
        best = scene.triplets
        count = len(model().config.vocabulary.predicates)
        found = np.repeat(best.confidence[rows][:, None] / 1e6, count, axis=1)
        found[np.arange(len(rows)), best.predicate[rows]] *= 1e6
        return found

    monkeypatch.setattr(scene_predictions, "scene_confidences", confidences)
    told = {"official": {}, "ways": {}}
    monkeypatch.setattr(runner, "score_automatic", lambda *_: told)
    found = 0
    for before, after in zip(
        plain, score(dataset, plan={**clicks, AUTO: 1}), strict=True
    ):
        assert after["systems"]["auto"]["none"] is told
        one, other = (x["systems"]["didm"]["point"] for x in (before, after))
        assert {**other, "ways": None} == {**one, "ways": None}
        for run, ways in other["ways"].items():
            hits = {
                way: sum(
                    n
                    for name, n in ways[way_name(*way)].items()
                    if name.startswith("R@100 ")
                )
                for way in WAYS
            }
            assert hits["frame", "one"] <= hits["frame", "all"]
            found += hits["frame", "one"]
            units = ways["subjects"]["subject frames"]
            assert units >= ways["subjects"]["subjects found"] > 0
            assert run in (0, 1)
    assert found
