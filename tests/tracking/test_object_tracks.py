"""Linking, ageing, the cap, merged and known ids, on masks made by hand."""

import dataclasses

import numpy as np

from c2g_jax.tracking.object_tracks import (
    FrameLinks,
    OpenTrack,
    Rows,
    SubjectLinks,
    find_id,
    link_queries,
    rename_opened,
    share_ids,
)
from c2g_jax.types import TrackRules

RULES = TrackRules()
SUBJECT = 100


def strip(start: int, stop: int) -> np.ndarray:
    mask = np.zeros(40, bool)
    mask[start:stop] = True
    return mask


def iou(a: np.ndarray, b: np.ndarray) -> float:
    return (a & b).sum() / max((a | b).sum(), 1)


def sight(queries, tracks=(), confidence=None, track_confidence=None) -> Rows:
    """The masks of queries, of open tracks and, last, of the subject."""
    masks = [*queries, *tracks, strip(39, 40)]
    confidence = confidence or [0.5] * len(queries)
    track_confidence = track_confidence or [0.5] * len(tracks)
    return Rows(
        area=np.array([mask.sum() for mask in masks]),
        iou=overlaps(masks),
        confidence=np.array([*confidence, *track_confidence, 0.5]),
    )


def link(tracks, frame: int, seen: Rows, next_id: int) -> SubjectLinks:
    """link_queries() on the masks of `sight`."""
    count = len(seen.area) - len(tracks) - 1
    row_of = {t.object_id: count + i for i, t in enumerate(tracks)}
    row_of[SUBJECT] = count + len(tracks)
    return link_queries(
        tracks, SUBJECT, range(count), frame, seen, row_of, next_id, RULES
    )


def track(object_id: int, last_linked: int = 0, confidence: float = 0.5) -> OpenTrack:
    return OpenTrack(object_id, SUBJECT, last_linked, confidence)


def ids(tracks) -> list[int]:
    return [t.object_id for t in tracks]


def test_new_masks_open_tracks_in_the_order_of_the_queries():
    seen = sight(
        [strip(0, 4), strip(10, 14), strip(20, 24)], confidence=[0.1, 0.2, 0.3]
    )
    links = link([], 7, seen, 5)
    assert links.linked == (5, 6, 7)
    assert links.opened == {5: 0, 6: 1, 7: 2}
    assert links.tracks == tuple(
        OpenTrack(5 + i, SUBJECT, 7, float(seen.confidence[i]), confirmed=False)
        for i in range(3)
    )
    assert links.closed == ()
    assert links.dropped == 0


def test_an_overlap_of_exactly_half_links_and_less_does_not():
    # 6 shared of 12 in all; then 6 of 13.
    half, less = strip(4, 13), strip(4, 14)
    assert iou(strip(1, 10), half) == 0.5
    for mask, linked in ((half, 3), (less, 9)):
        seen = sight([mask], [strip(1, 10)], track_confidence=[0.25])
        links = link([track(3, last_linked=2)], 4, seen, 9)
        assert links.linked == (linked,)
    linked = link(
        [track(3, last_linked=2)],
        4,
        sight([half], [strip(1, 10)], track_confidence=[0.25]),
        9,
    )
    # The scored mask is the track's: so is the confidence.
    assert linked.tracks == (OpenTrack(3, SUBJECT, 4, 0.25),)
    assert linked.opened == {}


def test_the_best_of_several_tracks_is_met():
    seen = sight([strip(0, 10)], [strip(0, 6), strip(0, 9), strip(4, 10)])
    links = link([track(3), track(4), track(5)], 1, seen, 9)
    assert links.linked == (4,)
    assert [t.last_linked for t in links.tracks] == [0, 1, 0]


def test_queries_may_meet_one_track_and_one_that_just_opened():
    a, b = strip(0, 8), strip(20, 28)
    seen = sight([a, a, b, strip(20, 27)], [a])
    links = link([track(3)], 1, seen, 9)
    assert links.linked == (3, 3, 9, 9)
    assert links.opened == {9: 2}


def test_a_new_track_closes_soon_unless_it_is_met_again():
    a, nothing = strip(0, 8), strip(0, 0)
    opened = link([], 5, sight([a]), 9).tracks
    assert [t.confirmed for t in opened] == [False]
    # RULES.tentative is 2, RULES.patience 10.
    assert link(opened, 6, sight([nothing], [a]), 10).tracks == opened
    assert link(opened, 7, sight([nothing], [a]), 10).closed == (9,)
    met = link(opened, 6, sight([a], [a]), 10).tracks
    assert [t.confirmed for t in met] == [True]
    assert link(met, 15, sight([nothing], [a]), 10).tracks == met
    assert link(met, 16, sight([nothing], [a]), 10).closed == (9,)


def test_two_queries_on_the_frame_that_opens_a_track_do_not_confirm_it():
    a = strip(0, 8)
    (opened,) = link([], 5, sight([a, a]), 9).tracks
    assert not opened.confirmed


def test_the_older_of_twins_is_confirmed_by_the_younger():
    a = strip(0, 8)
    new = dataclasses.replace(track(3, last_linked=4), confirmed=False)
    for younger in (track(4), dataclasses.replace(track(4), confirmed=False)):
        links = link([new, younger], 5, sight([strip(0, 0)], [a, a]), 9)
        assert links.closed == (4,)
        assert [t.confirmed for t in links.tracks] == [younger.confirmed]


def test_a_query_without_a_mask_meets_nothing():
    empty = strip(0, 0)
    links = link([track(3)], 1, sight([empty, empty], [empty]), 9)
    assert links.linked == (None, None)
    assert ids(links.tracks) == [3]
    assert links.tracks[0].last_linked == 0


def on_subject(queries, tracks=(), subject=None, limit=0.7):
    """link_queries() where the subject has a mask: `subject`."""
    masks = [*queries, *tracks, subject]
    seen = Rows(
        area=np.array([mask.sum() for mask in masks]),
        iou=overlaps(masks),
        confidence=np.full(len(masks), 0.5),
    )
    open_tracks = [track(3 + i, last_linked=2) for i in range(len(tracks))]
    row_of = {3 + i: len(queries) + i for i in range(len(tracks))}
    row_of[SUBJECT] = len(masks) - 1
    rules = dataclasses.replace(RULES, subject_iou=limit)
    rows = range(len(queries))
    return link_queries(open_tracks, SUBJECT, rows, 4, seen, row_of, 9, rules)


def test_a_query_on_the_subject_itself_is_no_object_of_it():
    # 7 shared of 10 in all; then 7 of 11.
    subject, at, below = strip(0, 10), strip(0, 7), strip(3, 11)
    assert iou(subject, at) == 0.7
    links = on_subject([at, below], subject=subject)
    assert links.linked == (None, 9)
    assert links.opened == {9: 1}
    assert on_subject([at, below], subject=subject, limit=None).linked == (9, 10)
    assert on_subject([at], subject=subject, limit=0.71).linked == (9,)


def test_nothing_links_to_a_track_that_lies_on_the_subject():
    """It is neither linked nor renewed, so that it closes when it stays there."""
    subject, query, drifted = strip(0, 10), strip(4, 12), strip(2, 11)
    assert iou(subject, query) < 0.7 <= iou(subject, drifted)
    links = on_subject([query], [drifted], subject)
    assert links.linked == (None,)
    assert links.opened == {}
    assert links.tracks[0].last_linked == 2


def test_of_tracks_that_became_one_the_oldest_stays_with_their_queries():
    # Track 8 covers 7 of the 10 pixels of track 7; 9 is apart. The query met track 8.
    tracks = [track(7, last_linked=3), track(8), track(9, last_linked=4)]
    masks = [strip(0, 10), strip(0, 7), strip(20, 30)]
    found = link(tracks, 5, sight([strip(0, 7)], masks), 10)
    assert (ids(found.tracks), found.closed) == ([7, 9], (8,))
    assert found.linked == (7,)
    assert found.tracks[0].last_linked == 5
    # With 6 of 10 pixels both go on.
    masks[1] = strip(0, 6)
    found = link(tracks, 5, sight([strip(0, 6)], masks), 10)
    assert (ids(found.tracks), found.linked) == ([7, 8, 9], (8,))
    # Three in one place, the first of which is the youngest in the list.
    tracks = [track(9), track(7), track(8)]
    found = link(tracks, 5, sight([], [strip(0, 10)] * 3), 10)
    assert (ids(found.tracks), found.closed) == ([7], (8, 9))
    # Tracks out of view are not in one place.
    found = link(tracks, 5, sight([], [strip(0, 0)] * 3), 10)
    assert sorted(ids(found.tracks)) == [7, 8, 9]


def test_a_track_closes_after_ten_frames_without_a_meeting():
    tracks = (track(3, last_linked=5),)
    lived = []
    for frame in range(6, 30):
        seen = sight([strip(20, 24)], [strip(0, 4)])
        tracks = link(tracks, frame, seen, 9).tracks
        tracks = tuple(t for t in tracks if t.object_id == 3)
        lived.append(frame)  # it was followed on this frame
        if not tracks:
            break
    assert lived == list(range(6, 16))  # ten frames, the tenth is 15
    # Met on its last chance, it lives on.
    seen = sight([strip(0, 4)], [strip(0, 4)])
    saved = link([track(3, last_linked=5)], 15, seen, 9)
    assert saved.closed == ()
    assert saved.tracks == (OpenTrack(3, SUBJECT, 15, 0.5),)


def test_the_cap_drops_the_least_confident_and_counts():
    masks = [strip(3 * i, 3 * i + 2) for i in range(13)]
    old = [track(i, confidence=0.1 + 0.01 * i) for i in range(12)]
    seen = sight([masks[12]], masks[:12], confidence=[0.9])
    links = link(old, 1, seen, 50)
    assert links.closed == (0,)
    assert links.dropped == 1
    assert ids(links.tracks) == [*range(1, 12), 50]
    # A newcomer may be the least confident itself: still this frame's answer.
    seen = sight([masks[12]], masks[:12], confidence=[0.01])
    links = link(old, 1, seen, 50)
    assert links.linked == (50,)
    assert links.opened == {50: 0}
    assert links.closed == (50,)
    assert links.dropped == 1
    assert ids(links.tracks) == list(range(12))


def test_the_cap_counts_only_what_it_closes():
    old = [track(i, last_linked=-10 if i < 2 else 0) for i in range(12)]
    masks = [strip(3 * i, 3 * i + 2) for i in range(13)]
    links = link(old, 1, sight([masks[12]], masks[:12]), 50)
    assert links.closed == (0, 1)
    assert links.dropped == 0
    assert len(links.tracks) == 11


def overlaps(masks) -> np.ndarray:
    return np.array([[iou(a, b) for b in masks] for a in masks])


def share(things: dict[int, tuple[int | None, np.ndarray]], shared=None, rules=RULES):
    """share_ids of {id: (the subject that led to it, mask)}."""
    subjects, masks = zip(*things.values(), strict=True)
    return share_ids(list(things), subjects, overlaps(masks), shared or {}, rules)


def test_objects_of_two_subjects_share_the_older_id():
    # 7 shared of 10: just enough; 7 of 11 is not.
    things = {1: (None, strip(30, 34)), 2: (None, strip(35, 39))}
    same = {5: (1, strip(0, 10)), 6: (2, strip(0, 7))}
    assert share(things | same) == {6: 5}
    apart = {5: (1, strip(0, 11)), 6: (2, strip(0, 7))}
    assert share(things | apart) == {}
    never = dataclasses.replace(RULES, share_iou=None)
    assert share(things | same, rules=never) == {}


def test_an_object_that_is_another_subject_takes_its_id():
    things = {8: (None, strip(0, 10)), 9: (None, strip(20, 30)), 3: (8, strip(20, 30))}
    assert share(things) == {3: 9}


def test_what_one_subject_tells_apart_stays_apart():
    a = strip(0, 10)
    assert share({1: (None, a), 2: (None, strip(20, 24)), 5: (1, a)}) == {}
    assert share({1: (None, strip(20, 24)), 5: (1, a), 6: (1, a)}) == {}
    assert share({1: (None, a), 2: (None, a)}) == {}
    # 6 can join 5 or 7, which belong to one subject: it joins the closer.
    near = {5: (1, strip(0, 8)), 6: (2, strip(0, 10)), 7: (1, strip(0, 9))}
    others = {1: (None, strip(20, 24)), 2: (None, strip(30, 34))}
    assert share(others | near) == {7: 6}


def test_merges_chain_over_frames():
    others = {
        1: (None, strip(20, 24)),
        2: (None, strip(30, 34)),
        3: (None, strip(36, 39)),
    }
    a = strip(0, 10)
    first = share(others | {5: (1, strip(12, 16)), 6: (2, a), 7: (3, a)})
    assert first == {7: 6}
    second = share(others | {5: (1, a), 6: (2, a), 7: (3, strip(12, 16))}, first)
    assert second == {6: 5}
    shared = first | second
    assert find_id(7, shared) == 5
    assert find_id(2, shared) == 2
    # Known already: nothing new is told.
    assert share(others | {5: (1, a), 6: (2, a), 7: (3, a)}, shared) == {}


def test_three_at_once():
    others = {
        1: (None, strip(20, 24)),
        2: (None, strip(30, 34)),
        3: (None, strip(36, 39)),
    }
    a = strip(0, 10)
    merged = share(others | {5: (1, a), 6: (2, a), 7: (3, a)})
    assert merged == {6: 5, 7: 5}


def test_new_tracks_take_known_ids_and_removed_objects_stay_away():
    tracks = tuple(track(i) for i in (3, 9, 10, 11))
    links = FrameLinks(
        tracks,
        {SUBJECT: (9, 3, None, 10, 11)},
        {9: 4, 10: 5, 11: 6},
        dict.fromkeys((3, 9, 10, 11), SUBJECT),
        frozenset({10, 11}),
        1,
    )
    found = rename_opened(links, {9: None, 10: 2}, next_id=9)
    assert ids(found.tracks) == [3, 2, 9]
    assert found.linked == {SUBJECT: (None, 3, None, 2, 9)}
    assert found.opened == {2: 5, 9: 6}
    assert found.subject_of == dict.fromkeys((3, 2, 9), SUBJECT)
    assert found.closed == {2, 9}
