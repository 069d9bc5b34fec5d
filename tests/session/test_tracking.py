"""Tracking in a session: the frames, their order, cancelling and errors."""

import sys
import threading

import jax
import numpy as np
import pytest

import c2g_jax
from c2g_jax.media.rle import decode_mask
from c2g_jax.tracking import loop as tracking
from c2g_jax.types import InputError
from tests.clips import numbered, write_clip
from tests.session import scripted
from tests.session.conftest import SUBJECT, everything, run


def test_a_click_shows_a_mask_at_once(session):
    view = session.click(**SUBJECT)
    (subject,) = view.objects
    assert (subject.object_id, subject.role, subject.category) == (
        1,
        "subject",
        "unknown",
    )
    assert decode_mask(subject.rle).shape == (64, 64)
    assert session.as_json(subject.prompts) == [
        {"kind": "point", "x": 12.0, "y": 12.0, "label": 1, "box": None}
    ]
    assert not view.tracked
    assert session.view(0).objects[0].rle is None


def test_track_finds_objects_and_names_relations(session):
    session.click(**SUBJECT)
    updates = list(session.track(direction="both"))
    assert [u.frame for u in updates] == [*range(2, 12), 1, 0]
    assert [(u.done, u.total) for u in updates] == [(k + 1, 12) for k in range(12)]
    found = [o for o in session.objects() if o.role == "object"]
    assert found
    assert all(o.subject_ids == (1,) for o in found)
    assert session.view(5).relations
    graph = session.graph()
    assert graph.object(1).prompted_by is None
    assert graph.object(found[0].object_id).prompted_by == 1
    assert graph.relations


def test_ranges_and_where_tracking_goes_on(session):
    session.click(**SUBJECT)
    assert run(session.track(stop=4)) == [2, 3, 4]
    assert run(session.track(stop=6)) == [5, 6]
    assert run(session.track(start=3, stop=4)) == [3, 4]
    assert run(session.track(direction="backward")) == [1, 0]
    assert session.tracked_frames() == list(range(7))


@pytest.mark.parametrize(
    ("span", "words"),
    [
        ((5, 2), "from frame 5 on to 2 there is nothing: stop later"),
        ((5, 2, "both"), "from frame 5 on to 2 there is nothing: stop later"),
        ((2, 5, "backward"), "from frame 2 back to 5 there is nothing: stop sooner"),
        ((None, 1), "no object is prompted on frames 0 to 1"),
        ((None, 3, "backward"), "no object is prompted on frames 3 to 11"),
        ((None, 1, "both"), "no object is prompted on frames 0 to 1"),
    ],
)
def test_a_span_without_a_frame_is_refused_at_once(session, span, words):
    session.click(**SUBJECT)
    before = everything(session)
    with pytest.raises(InputError, match=words):
        session.track(*span)
    assert everything(session) == before


def test_nothing_left_to_do_is_no_mistake(session):
    session.click(**SUBJECT)
    assert run(session.track(stop=4)) == [2, 3, 4]
    assert run(session.track(stop=4)) == []
    assert run(session.track(3, 3)) == [3]


def test_closing_ends_a_track_and_keeps_what_is_done(make_session, tmp_path):
    session = make_session(autosave=tmp_path / "a.c2g")
    session.click(**SUBJECT)
    updates = session.track()
    next(updates)
    next(updates)
    session.close()
    with pytest.raises(InputError, match="the session is closed"):
        next(updates)
    again = c2g_jax.open_session(
        tmp_path / "a.c2g", scripted.video(), model=scripted.model()
    )
    assert again.tracked_frames() == session.tracked_frames() == [2, 3]
    assert again.undo() == "tracked 2 frames"


def test_a_closed_session_can_be_looked_at_and_no_more(session, tmp_path):
    session.click(**SUBJECT)
    run(session.track())
    before = everything(session)
    session.close()
    session.close()
    for act in (
        lambda: session.click(2, 5, 5),
        lambda: session.mask(2, np.ones((64, 64))),
        lambda: session.track(),
        lambda: session.rename(1, "adult"),
        lambda: session.undo(),
        lambda: session.image(0),
        lambda: session.save(tmp_path / "a.c2g"),
    ):
        with pytest.raises(InputError, match="the session is closed: open it again"):
            act()
    assert everything(session) == before
    session.save_graph(tmp_path / "a.json")


def test_a_video_that_is_gone_is_named(make_session, tmp_path):
    path = tmp_path / "a.mp4"
    write_clip(path, [numbered(t, 64, 64) for t in range(3)])
    session = make_session(path)
    path.unlink()
    for act in (lambda: session.click(0, 12, 12), lambda: session.image(0)):
        with pytest.raises(InputError, match=r"a\.mp4: can no longer be read"):
            act()
    assert not session.can_undo
    session.save(tmp_path / "a.c2g")  # without what the video looks like


def test_tracking_anew_gives_the_same_again(session):
    session.click(**SUBJECT)
    run(session.track())
    first = everything(session)
    run(session.track(start=2))
    assert everything(session) == first


def test_tracking_in_two_goes_is_tracking_in_one(make_session):
    one, two = make_session(), make_session()
    for session in (one, two):
        session.click(**SUBJECT)
    run(one.track())
    run(two.track(stop=6))
    run(two.track())
    assert everything(one) == everything(two)


def test_cancel_ends_after_the_step_that_runs(session):
    session.click(**SUBJECT)
    done = []
    for update in session.track():
        done.append(update.frame)
        if update.frame == 4:
            session.cancel()
    assert done == [2, 3, 4]
    assert session.tracked_frames() == [2, 3, 4]
    assert session.undo() == "tracked 3 frames"
    assert session.tracked_frames() == []


def test_cancel_from_another_thread(session, world, monkeypatch):
    session.click(**SUBJECT)
    follow, entered, go_on = world.follow, threading.Event(), threading.Event()

    def slow(*args):
        entered.set()
        go_on.wait(10)
        return follow(*args)

    monkeypatch.setattr(tracking, "follow", slow)
    done = []
    thread = threading.Thread(target=lambda: done.extend(run(session.track())))
    thread.start()
    assert entered.wait(10)  # frame 3, the first that is tracked
    assert session.view(2).tracked  # does not wait for the step
    assert session.image(5).shape == (64, 64, 3)
    assert len(session.objects()) == 2
    assert session.tracked_frames() == [2]
    session.cancel()
    go_on.set()
    thread.join(10)
    assert done == [2, 3]


def test_an_error_in_the_midst_keeps_what_is_done(session, monkeypatch):
    session.click(**SUBJECT)
    read = session._engine._reader.read

    def damaged(frame):
        if frame == 5:
            raise InputError("the frame at 1.00 s cannot be decoded")
        return read(frame)

    monkeypatch.setattr(session._engine._reader, "read", damaged)
    with pytest.raises(InputError, match=r"1\.00 s"):
        run(session.track())
    assert session.tracked_frames() == [2, 3, 4]
    assert session.can_undo


def test_the_next_frame_is_encoded_while_the_device_works(session, monkeypatch):
    session.click(**SUBJECT)
    waits, first = [], {}  # frames waited for; how many were when one was encoded
    features, decide = session._engine.features, tracking.decide

    def encode(frame):
        first.setdefault(frame, len(waits))
        return features(frame)

    def wait(model, pending, known):
        waits.append(pending.state.frame)
        return decide(model, pending, known)

    monkeypatch.setattr(session._engine, "features", encode)
    monkeypatch.setattr(tracking, "decide", wait)
    run(session.track(start=2, stop=4))
    assert waits == [2, 3, 4]
    assert first == {2: 0, 3: 0, 4: 1}


def test_what_a_frame_of_a_session_fetches_from_the_device(session, monkeypatch):
    session.click(**SUBJECT)
    fetch, fetched = jax.device_get, []

    def counted(tree):
        fetched.append(sys._getframe(1).f_code.co_name)
        return fetch(tree)

    monkeypatch.setattr(jax, "device_get", counted)
    frames = []
    for _ in session.track():
        # Rows of what was fetched before are no fetch.
        frames.append([name for name in fetched if name != "object_output"])
        fetched.clear()
    # The scene, the memories, which are ready by then, and the names of the pairs; on
    # the first frame the memory of what is found, too.
    assert frames[0] == ["decide", "_keep_found", "_written", "_classified"]
    assert frames[1:] == [["decide", "_written", "_classified"]] * 9


def test_leaving_a_track_keeps_what_is_done(session):
    session.click(**SUBJECT)
    updates = session.track()
    next(updates)
    with pytest.raises(InputError, match="cancel"):
        session.click(0, 5, 5)
    assert session.view(2).tracked
    updates.close()
    assert session.tracked_frames() == [2]
    session.click(0, 5, 5)


def test_an_image_is_a_video_of_one_frame(make_session):
    session = make_session(scripted.video(1))
    session.click(0, 12, 12)
    assert run(session.track()) == [0]
    assert session.graph().video.num_frames == 1
