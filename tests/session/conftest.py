"""Sessions in a scripted world, and what one shows as plain values."""

import pytest

import c2g_jax
from tests.session import scripted


@pytest.fixture
def world(monkeypatch):
    world = scripted.World()
    world.install(monkeypatch.setattr)
    return world


@pytest.fixture
def make_session(world):
    """Sessions on the scripted video, closed at the end."""
    made = []

    def make(video=None, model=None, **options):
        video = scripted.video() if video is None else video
        model = scripted.model() if model is None else model
        made.append(c2g_jax.open(video, model=model, **options))
        return made[-1]

    yield make
    for session in made:
        session.close()


@pytest.fixture
def session(make_session):
    return make_session()


def everything(session) -> dict:
    """All that a session shows, as plain values."""
    frames = range(session.video.num_frames)
    return session.as_json(
        {
            "views": [session.view(t) for t in frames],
            "objects": session.objects(),
            "relations": session.relations(),
            "stale": session.stale_frames(),
            "tracked": session.tracked_frames(),
        }
    )


def run(updates) -> list[int]:
    """Track to the end; the frames in the order they came."""
    return [update.frame for update in updates]


def centre(row: int, column: int) -> dict:
    """The pixel in the middle of a thing's square at a place in small cells."""
    return {"x": 4 * column + 8, "y": 4 * row + 8}


SUBJECT = dict(frame=2, **centre(1, 1))  # a click on thing 1
FOUND, OTHER = centre(1, 6), centre(11, 1)  # things 11, which a subject finds, and 2
