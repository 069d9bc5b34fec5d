"""Results of whole videos, in a scripted world where every mask is known."""

import numpy as np
import pytest

from c2g_jax.tracking import loop as tracking
from c2g_jax.tracking.state import TrackingState
from c2g_jax.vocabulary import load_vocabulary
from tests.scripted import (
    NOTHING,
    World,
    column,
    model,
    objects,
    prompt,
    rectangle,
    step,
    track,
)

NAMES = load_vocabulary()


def test_one_click_gives_tracks_triplets_and_points(monkeypatch):
    world = World(column, lambda subject, frame: [4, 7, NOTHING])
    results = track(world, [prompt(0, 1, thing=3)], 3, monkeypatch)
    assert [r.frame for r in results] == [0, 1, 2]
    for result in results:
        assert objects(result) == [2, 3]
        assert set(result.masks) == {1, 2, 3}
        assert dict(result.prompted_by) == {1: None, 2: 1, 3: 1}
        np.testing.assert_array_equal(result.masks[1], column(3))
        np.testing.assert_array_equal(result.masks[3], column(7))
        (subject,) = result.subjects
        assert subject.subject_id == 1
        np.testing.assert_allclose(subject.points, [[4, 8], [8, 8], [12, 8]])
        second = subject.triplets[1]
        assert second.object_category == NAMES.objects[7]
        assert second.predicate == NAMES.predicates[7]
        assert second.confidence == 0.5
        assert not result.merged
        assert result.dropped == 0
    # Each frame encoded once; the tracks are followed from the frame after.
    assert world.encoded == 3
    assert world.followed == [(1, (3, 4, 7)), (2, (3, 4, 7))]


def test_a_model_without_trained_heads_follows_what_was_prompted_alone(monkeypatch):
    world = World(column, lambda subject, frame: [4, 7, NOTHING])
    prompts = [prompt(0, 1, thing=3), prompt(1, 2, thing=4)]
    results = track(world, prompts, 3, monkeypatch, trained=False)
    assert [sorted(r.masks) for r in results] == [[1], [1, 2], [1, 2]]
    for result in results:
        assert all(not s.triplets and not len(s.points) for s in result.subjects)
        assert set(result.prompted_by.values()) == {None}
    assert world.followed == [(1, (3,)), (2, (3, 4))]
    # The points of another source are followed all the same, as evaluation has them.
    world.install(monkeypatch)
    monkeypatch.setattr(
        tracking,
        "segment_at_points",
        lambda parts, *where: world.discover_objects(parts, *where[:-1]),
    )
    state = TrackingState(16, 16, 1)
    points = np.full((1, 3, 2), 0.5, np.float32)
    pending = tracking.begin_frame(model(trained=False), state, 0, prompts[:1], points)
    assert pending.due == (0,)


def test_the_scored_mask_of_a_linked_query_is_the_tracks(monkeypatch):
    def masks(thing, frame):
        return {3: rectangle(0, 2, 0, 2), 4: rectangle(8, 12, 0, 4)}.get(
            thing,
            rectangle(8, 12, 0, 3),  # thing 5: IoU 3/4 with 4
        )

    world = World(masks, lambda subject, frame: [4 if frame == 0 else 5, -1, -1])
    results = track(world, [prompt(0, 1, thing=3)], 3, monkeypatch)
    assert [objects(r) for r in results] == [[2], [2], [2]]
    np.testing.assert_array_equal(results[2].masks[2], masks(4, 2))
    assert results[2].subjects[0].triplets[0].object_category == NAMES.objects[4]


def test_an_image_is_a_video_of_one_frame(monkeypatch):
    world = World(column, lambda subject, frame: [4, 5, 6])
    (result,) = track(world, [prompt(0, 1, thing=3)], 1, monkeypatch, num_frames=1)
    assert objects(result) == [2, 3, 4]
    assert world.followed == []


def test_a_track_stops_ten_frames_after_its_last_meeting(monkeypatch):
    world = World(column, lambda subject, frame: [4 if frame < 3 else NOTHING, -1, -1])
    results = track(world, [prompt(0, 1, thing=3)], 20, monkeypatch)
    with_object = [r.frame for r in results if 2 in r.masks]
    # Met on 0, 1, 2; followed for ten frames more.
    assert with_object == list(range(13))
    assert [f for f, things in world.followed if 4 in things] == list(range(1, 13))
    assert all(3 in things for _, things in world.followed)
    assert [objects(r) for r in results[:4]] == [[2], [2], [2], []]


def test_a_thing_that_comes_back_is_a_new_object(monkeypatch):
    def finds(subject, frame):
        return [4 if frame in (0, 15) else NOTHING, -1, -1]

    results = track(World(column, finds), [prompt(0, 1, thing=3)], 16, monkeypatch)
    assert objects(results[15]) == [3]


def test_twelve_tracks_at_most_and_the_rest_is_counted(monkeypatch):
    def masks(thing, frame):
        return rectangle(
            thing // 4, thing // 4 + 1, 4 * (thing % 4), 4 * (thing % 4) + 4
        )

    def finds(subject, frame):
        return [1 + 3 * frame, 2 + 3 * frame, 3 + 3 * frame]

    world = World(masks, finds, confidence=lambda thing: 0.01 * (thing + 1))
    # Each is met once: as new tracks they would close before there are twelve.
    rules = {"tentative": 10}
    results = track(world, [prompt(0, 0, thing=0)], 6, monkeypatch, rules=rules)
    assert [r.dropped for r in results] == [0, 0, 0, 0, 3, 3]
    assert sum(r.dropped for r in results) == 6
    # Subject and twelve; the least confident were the first: things 1 to 3, then on.
    assert sorted(world.followed[-1][1]) == list(range(0, 1)) + list(range(4, 16))
    assert objects(results[5]) == [16, 17, 18]


def test_a_dropped_newcomer_still_answers_its_frame(monkeypatch):
    world = World(column, lambda s, f: [4, 5, 6], confidence=lambda t: 1 / t)
    (first, second) = track(
        world, [prompt(0, 1, thing=3)], 2, monkeypatch, rules={"max_tracks": 2}
    )
    assert objects(first) == [2, 3, 4]
    assert set(first.masks) == {1, 2, 3, 4}
    assert first.dropped == 1
    assert objects(second) == [2, 3, 5]  # thing 6 begins anew
    assert world.followed == [(1, (3, 4, 5))]


def test_slots_are_used_again(monkeypatch):
    # A new thing every frame, met once, is tracked on two frames: without reuse 30
    # tracks would take 32 slots.
    def masks(thing, frame):
        return rectangle(
            thing // 2, thing // 2 + 1, 8 * (thing % 2), 8 + 8 * (thing % 2)
        )

    world = World(masks, lambda subject, frame: [frame + 1, NOTHING, NOTHING])
    world.install(monkeypatch)
    state = TrackingState(16, 16, next_id=1)
    for frame in range(30):
        prompts = [prompt(0, 0, thing=0)] if frame == 0 else []
        state, _ = step(model(), state, frame, prompts)
    assert len(state.slots) == 4
    assert [t.object_id for t in state.tracks] == [29, 30]
    assert state.bank.things[state.slot_of()[30]] == 30


def test_a_state_can_be_gone_on_from_again(monkeypatch):
    world = World(column, lambda subject, frame: [4 + frame, -1, -1])
    world.install(monkeypatch)
    state, _ = step(model(), TrackingState(16, 16), 0, [prompt(0, 1, thing=3)])
    one, first = step(model(), state, 1)
    two, second = step(model(), state, 1)
    assert objects(first) == objects(second) == [3]
    assert one.tracks == two.tracks
    assert len(state.tracks) == 1


# --- several subjects


def test_subjects_are_absent_before_their_own_first_prompt(monkeypatch):
    world = World(column, lambda subject, frame: [subject + 5, -1, -1])
    prompts = [prompt(2, 1, thing=3), prompt(4, 7, thing=1)]
    results = track(world, prompts, 6, monkeypatch)
    assert [len(r.subjects) for r in results] == [0, 0, 1, 1, 2, 2]
    assert [sorted(r.masks) for r in results] == [
        [],
        [],
        [1, 8],
        [1, 8],
        [1, 7, 8, 9],
        [1, 7, 8, 9],
    ]
    assert world.encoded == 4  # nothing is encoded before anything is prompted
    assert world.followed[0] == (3, (3, 8))
    assert world.followed[1] == (4, (3, 8))
    assert sorted(world.followed[2][1]) == [1, 3, 6, 8]
    assert dict(results[5].prompted_by) == {1: None, 7: None, 8: 1, 9: 7}


def test_subjects_share_the_id_of_one_object(monkeypatch):
    world = World(column, lambda subject, frame: [9, -1, -1])
    results = track(world, [prompt(0, 1, 3), prompt(0, 2, 5)], 3, monkeypatch)
    assert dict(results[0].merged) == {4: 3}
    for result in results:
        assert objects(result, 0) == objects(result, 1) == [3]
        assert sorted(result.masks) == [1, 2, 3]
        assert result.prompted_by[3] == 1
    assert not results[1].merged


def test_a_shared_object_outlives_the_track_that_named_it(monkeypatch):
    def finds(subject, frame):
        return [9 if subject == 5 or frame < 2 else -1, -1, -1]

    world = World(column, finds)
    prompts = [prompt(0, 1, 3), prompt(0, 2, 5)]
    results = track(world, prompts, 8, monkeypatch, rules={"patience": 2})
    assert [r.prompted_by[3] for r in results] == [1, 1, 1, 1, 2, 2, 2, 2]


def test_an_object_that_is_prompted_later_takes_the_subjects_id(monkeypatch):
    def finds(subject, frame):
        return [{3: 5, 5: 3}[subject], -1, -1]

    world = World(column, finds)
    results = track(world, [prompt(0, 1, 3), prompt(2, 2, 5)], 4, monkeypatch)
    assert [objects(r) for r in results] == [[3], [3], [2], [2]]
    assert dict(results[2].merged) == {3: 2, 4: 1}
    assert objects(results[3], 1) == [1]
    assert sorted(results[3].masks) == [1, 2]
    assert dict(results[3].prompted_by) == {1: None, 2: None}


def test_what_is_out_of_view_is_in_no_answer(monkeypatch):
    def masks(thing, frame):
        gone = (thing == 3 and frame == 1) or (thing == 4 and frame == 2)
        return np.zeros((16, 16), bool) if gone else column(thing)

    world = World(masks, lambda subject, frame: [4, 5, -1])
    rules = {"tentative": 3}  # thing 4 is not met again until frame 3
    results = track(world, [prompt(0, 1, thing=3)], 4, monkeypatch, rules=rules)
    assert objects(results[1]) == []  # no subject, no relation
    assert results[1].subjects[0].points.shape == (0, 2)
    assert sorted(results[1].masks) == [2, 3]
    assert sorted(results[2].masks) == [1, 3]
    assert objects(results[2]) == [3]
    assert objects(results[3]) == [2, 3]


# --- when DIDM looks


@pytest.mark.parametrize(
    ("every", "looks"), [(1, [1, 2, 3, 4, 5]), (2, [1, 3, 5]), (0, [1])]
)
def test_didm_looks_every_kth_frame_from_the_prompt_on(every, looks, monkeypatch):
    world = World(column, lambda subject, frame: [4, 5, -1])
    results = track(world, [prompt(1, 1, 3)], 6, monkeypatch, discover_every=every)
    seen = [r.frame for r in results if r.subjects and len(r.subjects[0].points)]
    assert seen == looks
    # In between, what the queries met last is scored on its own masks.
    assert [objects(r) for r in results[1:]] == [[2, 3]] * 5


def test_tracks_age_only_where_didm_looks(monkeypatch):
    world = World(column, lambda subject, frame: [4 if frame == 0 else NOTHING, -1, -1])
    results = track(world, [prompt(0, 1, 3)], 30, monkeypatch, discover_every=0)
    assert all(2 in r.masks for r in results)
