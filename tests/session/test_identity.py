"""Merging, cutting, promoting, selecting, painting."""

import numpy as np
import pytest

from c2g_jax.media.rle import decode_mask
from c2g_jax.session.strokes import paint
from c2g_jax.types import InputError
from tests.session.conftest import FOUND, OTHER, SUBJECT, centre, everything, run
from tests.session.test_actions import shown


@pytest.fixture
def tracked(session):
    session.click(**SUBJECT)
    run(session.track())
    session.click(2, **OTHER)
    run(session.track(start=2))
    return session


def ids(session):
    return [o.object_id for o in session.objects()]


def undone(session, act):
    """Do it; undo and redo are exact. Returns what it returned."""
    before = everything(session)
    result = act()
    after = everything(session)
    session.undo()
    assert everything(session) == before
    session.redo()
    assert everything(session) == after
    return result


def test_two_tracks_become_one(tracked, world):
    tracked.set_spans(3, [(8, 11)])
    tracked.set_spans(2, [(2, 7)])
    tracked.relate(1, 3, "beside", [(9, 10)])
    tracked.rename(3, "cup")
    undone(tracked, lambda: tracked.merge(3, 2))
    assert ids(tracked) == [1, 2]
    (object_,) = tracked.objects()[1:]
    # Spans of the two that touch are one, as those of their relations are.
    assert (object_.category, object_.lanes) == ("cup", ((2, 11),))
    assert (shown(tracked, 5, 2) == world.mask(11, 5)).all()
    assert (shown(tracked, 9, 2) == world.mask(2, 9)).all()
    (drawn,) = [r for r in tracked.relations() if r.predicate == "beside"]
    assert (drawn.subject_id, drawn.object_id, drawn.spans) == (1, 2, ((9, 10),))
    with pytest.raises(InputError, match="are one already"):
        tracked.merge(2, 3)
    tracked.remove(2)
    assert ids(tracked) == [1]


def test_merges_of_merges_have_no_circles(tracked):
    tracked.click(2, **centre(6, 6))
    number = ids(tracked)[-1]
    tracked.merge(number, 3)
    tracked.merge(3, 2)
    with pytest.raises(InputError, match="are one already"):
        tracked.merge(2, number)
    assert ids(tracked) == [1, 2]
    tracked.merge(2, 1)
    assert ids(tracked) == [1]
    assert tracked.relations() == []


def test_a_cut_makes_two_and_stays_after_tracking(tracked, world):
    tracked.rename(3, "cup")
    tracked.relate(1, 3, "beside", [(4, 9)])
    new = undone(tracked, lambda: tracked.cut(3, 7))
    assert ids(tracked) == [1, 2, 3, new]
    for _ in range(2):
        by_id = {o.object_id: o for o in tracked.objects()}
        assert by_id[3].lanes == ((2, 6),)
        assert by_id[new].lanes == ((7, 11),)
        assert by_id[new].category == "cup"
        drawn = {
            r.object_id: r.spans for r in tracked.relations() if r.predicate == "beside"
        }
        assert drawn == {3: ((4, 6),), new: ((7, 9),)}
        assert (shown(tracked, 9, new) == world.mask(2, 9)).all()
        run(tracked.track(start=2))
    with pytest.raises(InputError, match="not in view from frame 8 on"):
        tracked.cut(3, 8)
    with pytest.raises(InputError, match="not in view before frame 7"):
        tracked.cut(new, 7)


def test_a_found_object_becomes_a_subject(tracked, world):
    world.finds = lambda thing, frame: (21, 0, 0) if thing == 11 else (11, 0, 0)
    undone(tracked, lambda: tracked.promote(2))
    assert {o.object_id: o.role for o in tracked.objects()}[2] == "subject"
    run(tracked.track(start=2))
    related = {(r.subject_id, r.object_id) for r in tracked.relations()}
    found = [o for o in tracked.objects() if o.subject_ids == (2,)]
    assert len(found) == 1
    assert (2, found[0].object_id) in related
    with pytest.raises(InputError, match="object 2 is a subject already"):
        tracked.promote(2)


def test_a_point_selects_what_lies_there(tracked):
    x, y = OTHER["x"], OTHER["y"]
    assert tracked.object_at(4, **FOUND) == 2
    assert tracked.object_at(4, x, y) == 3
    assert tracked.object_at(4, 62, 62) is None
    tracked.brush(4, [(13.5, 53.5)], 3)  # a smaller one on top
    assert tracked.object_at(4, 13, 53) == ids(tracked)[-1] > 3
    with pytest.raises(InputError, match="outside the frame"):
        tracked.object_at(4, 64, 3)


def test_several_are_removed_at_once(tracked):
    undone(tracked, lambda: tracked.remove([1, 3]))
    assert ids(tracked) == []
    tracked.undo()
    with pytest.raises(InputError, match="no object 9"):
        tracked.remove([2, 9])
    assert ids(tracked) == [1, 2, 3]
    with pytest.raises(InputError, match="no object is named"):
        tracked.remove([])


def test_a_brush_adds_and_an_eraser_takes_away(tracked):
    before = shown(tracked, 4, 3)
    undone(tracked, lambda: tracked.brush(4, [(6, 6), (6, 30)], 3, object_id=3))
    more = shown(tracked, 4, 3)
    assert (more & before).sum() == before.sum()
    assert more.sum() > before.sum()
    assert tracked.view(4).objects[2].prompts[0].kind == "mask"
    tracked.brush(4, [(6, 6), (6, 30)], 5, erase=True, object_id=3)
    assert (shown(tracked, 4, 3) == before).all()
    with pytest.raises(InputError, match="nothing of the mask would be left"):
        tracked.brush(4, [(0, 0), (64, 64)], 60, erase=True, object_id=3)
    tracked.brush(4, [(40, 40)], 4)
    assert len(ids(tracked)) == 4
    for points, radius, words in (
        ([], 3, "a stroke of 0 points"),
        ([(1, 2, 3)], 3, "no list of points"),
        ([("a", 2)], 3, "x is 'a'"),
        ([(1, float("nan"))], 3, "has the point 1,nan"),
        ([(1, 2)], 0, "radius is 0"),
    ):
        with pytest.raises(InputError, match=words):
            tracked.brush(4, points, radius, object_id=3)


def test_a_stroke_has_the_pixels_near_its_line():
    """Beside the definition, pixel by pixel."""
    rng = np.random.default_rng(0)
    for _ in range(20):
        path = rng.uniform(-10, 40, (rng.integers(1, 5), 2))
        radius = rng.uniform(0.5, 8)
        mask = rng.random((23, 31)) < 0.3
        wanted = mask.copy()
        segments = list(zip(path, path[1:] if len(path) > 1 else path, strict=False))
        inside = bool(rng.integers(2))
        for y, x in np.ndindex(mask.shape):
            if any(distance((x, y), *ends) <= radius for ends in segments):
                wanted[y, x] = inside
        assert (paint(mask, path, radius, inside) == wanted).all()


def distance(point, one, other):
    """From a point to a segment."""
    along, to = np.subtract(other, one), np.subtract(point, one)
    share = np.clip(to @ along / max(along @ along, 1e-9), 0, 1)
    return np.linalg.norm(to - share * along)


def test_a_painted_mask_is_what_was_painted(session):
    session.brush(0, [(32, 32)], 12)
    mask = decode_mask(session.view(0).objects[0].rle)
    y, x = np.mgrid[:64, :64]
    wanted = (x - 32) ** 2 + (y - 32) ** 2 <= 144
    assert (mask == wanted).all()  # whatever the cells of the model
