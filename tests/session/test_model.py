"""Sessions with a real, seeded model: agreement with predict, memories, files."""

import numpy as np
import pytest

import c2g_jax
from c2g_jax.media.images import resize_frame
from c2g_jax.media.rle import decode_mask
from c2g_jax.tracking.loop import track_video
from c2g_jax.types import Frame, Prompt
from tests.session.bold import bold_model
from tests.session.conftest import everything, run

COUNT = 6


@pytest.fixture(scope="module")
def model():
    return bold_model()


@pytest.fixture(scope="module")
def frames():
    """A bright square that moves over noise: uint8 [6, 48, 80, 3]."""
    rng = np.random.default_rng(0)
    video = rng.integers(0, 80, (COUNT, 48, 80, 3), np.uint8)
    for t, frame in enumerate(video):
        frame[10:26, 4 + 3 * t : 20 + 3 * t] = (220, 200, 40)
    return list(video)


@pytest.fixture(scope="module")
def tracked(model, frames):
    session = c2g_jax.open(frames, model=model)
    session.click(0, 12, 18)
    run(session.track())
    yield session
    session.close()


def test_a_session_gives_what_predict_gives(tracked, model, frames):
    prompts = [Prompt(0, 1, np.float32([[12, 18]]))]
    results = list(track_video(model, _frames(frames), prompts, resize_frame, COUNT))
    spoken = {}
    for result in results:
        view = tracked.view(result.frame)
        seen = {o.object_id: o.rle for o in view.objects if o.rle is not None}
        # Predict counts ids in the order of queries, and so does the session.
        assert seen.keys() == {i for i, mask in result.masks.items() if mask.any()}
        for object_id, code in seen.items():
            differ = decode_mask(code) != result.masks[object_id]
            assert differ.mean() < 1e-3
        for subject in result.subjects:
            spoken[result.frame] = {
                (t.object_id, t.predicate): t.confidence for t in subject.triplets
            }
        said = {(r.object_id, r.predicate): r.confidence for r in view.relations}
        assert said == pytest.approx(spoken[result.frame], rel=1e-3)
    assert any(spoken.values())


def test_a_memory_made_again_is_the_one_that_was_held(tracked):
    engine = tracked._engine
    for thing in tracked.history()[0].objects.values():
        for frame, observation in thing.observations.items():
            held = engine.memories._held.pop(observation, None)
            if held is not None:
                again = engine.memories.get(observation, frame)
                np.testing.assert_allclose(again, held, atol=1e-4)


def test_corrections_and_continuations_of_a_saved_session(
    tracked, model, frames, tmp_path
):
    tracked.save(tmp_path / "a.c2g")
    again = c2g_jax.open_session(tmp_path / "a.c2g", frames, model=model)
    assert everything(again) == everything(tracked)
    for session in (tracked, again):
        session.click(3, 60, 40, positive=False, object_id=1)
        run(session.track())
        assert session.tracked_frames() == list(range(COUNT))
    one, two = everything(again), everything(tracked)
    assert one["views"][3] == two["views"][3]
    for a, b in zip(one["views"][4:], two["views"][4:], strict=True):
        for x, y in zip(a["objects"], b["objects"], strict=True):
            assert (x["rle"] is None) == (y["rle"] is None)
            if x["rle"] is not None:
                differ = decode_mask(x["rle"]) != decode_mask(y["rle"])
                assert differ.mean() < 1e-3


@pytest.mark.parametrize("back", ["delete", "undo"])
def test_a_prompt_taken_back_after_tracking_was_never_given(model, frames, back):
    """All that it changed is as before, on both sides of it."""
    never, session = (c2g_jax.open(frames, model=model) for _ in range(2))
    for one in (never, session):
        one.click(0, 12, 18)
        run(one.track())
    before = [subject_rle(session, t) for t in range(COUNT)]
    session.click(3, 60, 40, positive=False, object_id=1)
    run(session.track(start=0))
    changed = [subject_rle(session, t) for t in range(COUNT)]
    assert all(changed[t] != before[t] for t in (1, 2, 3, 4))
    if back == "delete":
        session.delete_prompt(3, 1, 0)
    else:
        session.undo()
        session.undo()
    assert session.stale_frames() == []
    assert everything(session)["views"] == everything(never)["views"]
    for one in (never, session):
        run(one.track(direction="backward", start=4))
    assert everything(session)["views"] == everything(never)["views"]
    for one in (never, session):
        one.close()


def subject_rle(session, frame):
    (subject,) = (o for o in session.view(frame).objects if o.object_id == 1)
    return subject.rle


def _frames(arrays):
    return [Frame(t, t / 5, rgb) for t, rgb in enumerate(arrays)]
