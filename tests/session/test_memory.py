"""The memory that a session uses does not grow with the video, but for results."""

import weakref

import numpy as np
import pytest

from c2g_jax.media.frames import Video
from c2g_jax.media.spill import SpillFile
from c2g_jax.session import labels, memory_cache
from c2g_jax.session.session import Session
from c2g_jax.types import Frame, InputError
from tests.session import scripted
from tests.session.conftest import centre, run

CACHED = 3  # encoded frames
HELD, AHEAD = 16, 8  # frames that a reader holds, and that are decoded ahead


class Living:
    """How many of the things that were watched are alive, and at most were."""

    def __init__(self):
        self.now = self.most = self.all = 0

    def watch(self, thing):
        self.now, self.all = self.now + 1, self.all + 1
        self.most = max(self.most, self.now)
        weakref.finalize(thing, self.gone)
        return thing

    def gone(self):
        self.now -= 1


class Encoded:
    def __init__(self, frame):
        self.frame = frame


class LongWorld(scripted.World):
    """Frames grow brighter by two, so that there may be 120 of them."""

    def __init__(self):
        super().__init__()
        self.encoded, self.frames = Living(), Living()

    def encode_frame(self, sam2, square):
        return self.encoded.watch(Encoded(round((float(square.mean()) - 10) / 2)))

    def video(self, count):
        def frames(first):
            for t in range(first, count):
                rgb = np.full((64, 64, 3), 10 + 2 * t, np.uint8)
                yield Frame(t, t / 5, self.frames.watch(rgb))

        return Video(
            "long", (64, 64), 5.0, count, frames, [t / 5 for t in range(count)]
        )


@pytest.fixture
def tracked(monkeypatch):
    """Tracks a video of so many frames; gives the session and its world."""
    made = []

    def track(count):
        world = LongWorld()
        world.install(monkeypatch.setattr)
        session = Session(world.video(count), scripted.model(), cached_frames=CACHED)
        made.append(session)
        session.click(0, **centre(1, 1))
        run(session.track())
        return session, world

    yield track
    for session in made:
        session.close()


@pytest.mark.parametrize("count", [40, 120])
def test_frames_and_features_are_held_for_a_while(tracked, count):
    session, world = tracked(count)
    assert world.encoded.all >= count
    assert world.encoded.most <= CACHED + 1  # and the one that is being made
    assert world.frames.all >= count
    # Those of the reader, the thread's, one being handed over, one being made.
    assert world.frames.most <= HELD + AHEAD + 2
    # The results are whole.
    things = session.history()[0].objects.values()
    assert [len(thing.observations) for thing in things] == [count, count]


def test_memories_are_bounded_in_bytes(tracked, monkeypatch):
    memory = 4 * 4 * 32 * 4  # bytes of one in the scripted world
    monkeypatch.setattr(memory_cache, "_BYTES", 70 * memory)
    session, _ = tracked(120)
    held = session._engine.memories._held
    assert len(held) == 70  # of 240
    assert sum(value.nbytes for value in held.values()) == 70 * memory
    assert all(value.base is None for value in held.values())
    # The others are in a file, and come back from it as they were.
    cache, marked = session._engine.memories, np.float32(np.arange(512))
    (old, _), *_ = held.items()
    cache.keep(old, marked.reshape(4, 4, 32))
    held.move_to_end(old, last=False)
    for thing in session.history()[0].objects.values():
        for frame, found in thing.observations.items():
            if found is not old:
                cache.get(found, frame)
    assert old not in held
    np.testing.assert_array_equal(cache.get(old, 0).ravel(), marked)


def test_a_full_disk_ends_tracking_and_keeps_what_is_done(make_session, monkeypatch):
    session = make_session()
    session.click(0, **centre(1, 1))
    write = SpillFile.write

    def full(file, arrays):
        if len(session.tracked_frames()) == 5:
            raise InputError("/tmp: cannot be written there: make room")
        return write(file, arrays)

    monkeypatch.setattr(SpillFile, "write", full)
    with pytest.raises(InputError, match="make room"):
        run(session.track())
    assert session.tracked_frames() == [0, 1, 2, 3, 4]
    monkeypatch.setattr(SpillFile, "write", write)
    assert run(session.track()) == list(range(5, 12))


def test_labels_are_bounded_and_the_same(tracked, monkeypatch):
    session, _ = tracked(60)
    session.rename(2, "cup")
    wanted = session.as_json([session.objects(), session.relations()])
    monkeypatch.setattr(labels, "_HELD", 20)
    monkeypatch.setattr(labels, "_BLOCK", 16)
    again, _ = tracked(60)
    again.rename(2, "cup")
    assert session.as_json([again.objects(), again.relations()]) == wanted
    assert len(again._viewer._labeller._logits) <= 20 + 16


def test_what_tracking_leaves_behind_is_the_result_alone(tracked):
    """Of the states between, nothing is kept: one before and one after."""
    session, _ = tracked(40)
    _, done, undone = session.history()
    assert [what for what, _ in done] == [
        "point for a new subject on frame 0",
        "tracked 40 frames",
    ]
    assert undone == []
    assert [len(state.records) for _, state in done] == [0, 0]


def test_a_closed_session_holds_no_cache(tracked):
    session, _ = tracked(40)
    session.rename(2, "cup")
    session.objects(), session.relations(), session.image(3)
    viewer, engine = session._viewer, session._engine
    assert viewer._labeller._logits
    assert viewer._labeller._last[0] is not None
    assert viewer._graphs
    assert viewer._reader._held
    assert engine._reader._held
    session.close()
    assert not viewer._labeller._logits
    assert viewer._labeller._last == (None, None)
    assert not viewer._graphs
    assert not viewer._reader._held
    assert not engine._reader._held


def test_the_nearest_frames_condition_also_where_the_model_found_one(
    monkeypatch, make_session, world
):
    """Sixteen frames that a person prompted, and the one where the model found it."""
    arrived = {}

    def follow(sam2, bank, features, frame, *rest):
        arrived[int(frame)] = {int(t) for t in bank.conditioning_frames[1] if t >= 0}
        return world.follow(sam2, bank, features, frame, *rest)

    session = make_session(scripted.video(30))
    session.click(0, **centre(1, 1))
    run(session.track(stop=8))
    prompted = [*range(1, 9), *range(20, 28)]
    for frame in prompted:
        session.click(frame, **centre(1, 6), object_id=2)
    assert session.history()[0].objects[2].observations[0].direction == 0
    monkeypatch.setattr("c2g_jax.tracking.loop.follow", follow)
    run(session.track(start=9, stop=19))
    assert arrived[9] == {0, *prompted} - {27}
    assert arrived[19] == set(prompted)
