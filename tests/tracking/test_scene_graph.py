import numpy as np
import pytest

from c2g_jax.tracking.scene_graph import GraphBuilder, annotated_graph, vote
from c2g_jax.tracking.spans import SpanConfig, merge_spans
from c2g_jax.types import FrameResult, Relation, SubjectFrame, Triplet, VideoInfo

NO_POINTS = np.zeros((0, 2), np.float32)
MASK = np.ones((2, 2), bool)


def video(n):
    return VideoInfo("a.mp4", 2, 2, 5.0, tuple(t / 5 for t in range(n)))


def guess(object_id, predicate, confidence, subject="adult", object_="cup"):
    return Triplet(object_id, subject, object_, predicate, confidence)


def build(results, n, start_confidence=0.0, **config):
    spans = SpanConfig(start_confidence=start_confidence, **config)
    builder = GraphBuilder(lambda mask: {"sum": int(mask.sum())}, spans)
    for result in results:
        builder.add(result)
    return builder.build(video(n), {"version": "test"})


def result(frame, *triplets, subject=1, masks=(), prompted_by=None, merged=None):
    return FrameResult(
        frame,
        dict.fromkeys(masks, MASK),
        (SubjectFrame(frame, subject, NO_POINTS, triplets),),
        {1: None} if prompted_by is None else prompted_by,
        merged or {},
    )


@pytest.mark.parametrize(
    ("frames", "max_gap", "min_length", "want"),
    [
        ([], 0, 1, ()),
        ([4], 0, 1, ((4, 4),)),
        ([4], 0, 2, ()),
        ([0, 1, 2], 0, 1, ((0, 2),)),
        ([2, 0, 1, 1], 0, 1, ((0, 2),)),
        ([0, 1, 3], 0, 1, ((0, 1), (3, 3))),
        ([0, 1, 3], 1, 1, ((0, 3),)),
        ([0, 1, 4], 1, 1, ((0, 1), (4, 4))),
        ([0, 1, 4], 2, 1, ((0, 4),)),
        ([0, 2, 9, 20, 21, 22], 1, 3, ((0, 2), (20, 22))),
    ],
)
def test_merge_spans(frames, max_gap, min_length, want):
    assert merge_spans(frames, max_gap, min_length) == want


def test_vote():
    assert vote([]) == ("unknown", 0.0)
    assert vote([("cup", 0.2), ("bag", 0.5), ("cup", 0.5)]) == (
        "cup",
        pytest.approx(0.7 / 1.2),
    )
    assert vote([("cup", 0.5), ("bag", 0.5)]) == ("cup", 0.5)
    assert vote([("cup", 0.0)]) == ("cup", 0.0)


def test_guesses_become_relations():
    both = {1: None, 2: 1}
    graph = build(
        [
            result(0, guess(2, "holding", 0.5), masks=(1, 2), prompted_by=both),
            result(1, guess(2, "holding", 0.7), guess(2, "on", 0.9), masks=(1, 2)),
            result(2, masks=(1,)),
            result(3, guess(2, "holding", 0.9, object_="bag"), masks=(1, 2)),
            result(4, masks=(1,)),
            result(5, masks=(1,)),
            result(6, masks=(1,)),
            result(7, guess(2, "holding", 0.1), masks=(1,)),
        ],
        n=8,
        max_gap=1,
        min_length=2,
    )
    (relation,) = graph.relations  # "on" and the last "holding" are too short
    assert (relation.subject_id, relation.object_id) == (1, 2)
    assert (relation.predicate, relation.spans) == ("holding", ((0, 3),))
    assert relation.score == pytest.approx((0.5 + 0.7 + 0.9) / 3)

    one, two = graph.objects
    assert (one.object_id, one.category, one.prompted_by) == (1, "adult", None)
    assert one.score == pytest.approx(1.0)
    assert list(one.masks) == list(range(8))
    assert (two.object_id, two.category, two.prompted_by) == (2, "cup", 1)
    assert two.score == pytest.approx((0.5 + 0.7 + 0.9 + 0.1) / (2.2 + 0.9))
    assert two.masks == {0: {"sum": 4}, 1: {"sum": 4}, 3: {"sum": 4}}
    assert graph.provenance == {"version": "test"}
    assert [subject.frame for subject in graph.frames] == list(range(8))


def test_the_best_relation_comes_first_and_doubtful_guesses_do_not_count():
    graph = build(
        [
            result(
                t, guess(2, "on", 0.3), guess(3, "holding", 0.6), guess(3, "in", 0.1)
            )
            for t in range(3)
        ],
        n=3,
        min_confidence=0.2,
    )
    assert [r.predicate for r in graph.relations] == ["holding", "on"]


def test_an_image_may_have_relations():
    graph = build(
        [result(0, guess(2, "on", 0.3))], n=1, min_length=5, min_confidence=0.2
    )
    assert [r.spans for r in graph.relations] == [((0, 0),)]


def test_ids_found_to_be_one_thing_become_one():
    graph = build(
        [
            result(
                0,
                guess(7, "holding", 0.4),
                masks=(1, 7),
                prompted_by={1: None, 2: None, 4: 2, 7: 1},
            ),
            result(
                1,
                guess(7, "holding", 0.4),
                guess(4, "holding", 0.6),
                masks=(4, 7),
                merged={7: 4},
            ),
            result(2, guess(4, "holding", 0.8), masks=(4,), merged={4: 2}),
            result(3, guess(1, "holding", 0.9), subject=2, masks=(2,)),
        ],
        n=4,
        max_gap=0,
        min_length=2,
    )
    (relation,) = graph.relations
    assert (relation.subject_id, relation.object_id) == (1, 2)
    assert relation.spans == ((0, 2),)
    # One guess a frame, the better one where two became one.
    assert relation.score == pytest.approx((0.4 + 0.6 + 0.8) / 3)
    assert [track.object_id for track in graph.objects] == [1, 2]
    assert list(graph.object(2).masks) == [0, 1, 2, 3]
    assert graph.object(2).prompted_by is None
    assert {t.object_id for s in graph.frames for t in s.triplets} == {1, 2}


def test_nothing_relates_to_itself():
    graph = build(
        [
            result(0, guess(2, "on", 0.5), prompted_by={1: None, 2: 1}),
            result(1, guess(2, "on", 0.5), merged={2: 1}),
        ],
        n=2,
    )
    assert graph.relations == ()
    assert [track.object_id for track in graph.objects] == [1]


@pytest.mark.parametrize(("min_length", "kept"), [(5, [1, 2, 4, 6]), (1, range(1, 7))])
def test_objects_that_were_met_once_are_left_out(min_length, kept):
    # 3 merged into 2 is met twice with it; 4 on the last frame; 5 once; 6 is prompted.
    met = {0: (2, 5, 6), 1: (3,), 2: (4,)}
    by = {1: None, 2: 1, 3: 1, 4: 1, 5: 1, 6: None}
    builder = GraphBuilder(lambda mask: {}, SpanConfig(min_length=min_length))
    for t, ids in met.items():
        triplets = [guess(i, "holding", 0.9) for i in ids]
        merged = {3: 2} if t == 1 and min_length > 1 else {}
        builder.add(result(t, *triplets, masks=by, prompted_by=by, merged=merged))
    builder.drop_met_once()
    graph = builder.build(video(3), {})
    assert [o.object_id for o in graph.objects] == list(kept)
    assert {t.object_id for f in graph.frames for t in f.triplets} == set(kept) - {1}


def test_what_was_never_seen_has_its_entry():
    graph = build([result(0, guess(2, "on", 0.5), prompted_by={})], n=1)
    assert [(o.object_id, o.prompted_by, o.masks) for o in graph.objects] == [
        (1, None, {}),
        (2, 1, {}),
    ]


def test_a_frame_where_an_object_is_not_seen_has_no_mask():
    empty = FrameResult(0, {1: ~MASK}, (), {1: None})
    graph = build([empty], n=1)
    assert graph.object(1).masks == {}
    assert graph.object(1).category == "unknown"


def test_what_a_person_says_takes_the_place_of_guesses():
    results = [
        result(t, guess(2, "holding", 0.6), guess(3, "on", 0.5), masks=(1, 2, 3))
        for t in range(4)
    ]
    told = [
        Relation(1, 2, "holding", ((1, 1), (3, 3)), 1.0),
        Relation(2, 2, "on", ((0, 1),), 1.0),
    ]
    graph = annotated_graph(build(results, 4), {2: "dog"}, told)
    assert graph.relations == (told[0], Relation(1, 3, "on", ((0, 3),), 0.5))
    names = {o.object_id: (o.category, o.score) for o in graph.objects}
    assert names == {1: ("adult", 1.0), 2: ("dog", 1.0), 3: ("cup", 1.0)}
