"""Frames that a data set cannot be made of yet, and names that nobody accepted."""

import json

import pytest

import c2g_jax
from c2g_jax.media.rle import decode_mask
from c2g_jax.session.dataset import export_sessions
from c2g_jax.session.unfinished import Unfinished
from c2g_jax.types import InputError
from tests.session import scripted
from tests.session.conftest import OTHER, SUBJECT, centre, run

LAST = scripted.FRAMES - 1


@pytest.fixture
def session(make_session):
    session = make_session(model=scripted.model(trained=False))
    session.click(**SUBJECT)
    session.click(2, **OTHER)
    session.rename(1, "adult")
    session.rename(2, "cup")
    return session


def written(folder):
    document = json.loads((folder / "pvsg.json").read_text())
    return [video["video_id"] for video in document["data"]]


def test_what_tracking_left_is_named_and_refused(session, make_session, tmp_path):
    done = make_session(model=scripted.model(trained=False))
    done.click(**SUBJECT)
    done.rename(1, "adult")
    run(done.track())
    assert not done.unfinished()
    session.relate(1, 2, "holding")  # on all frames: nothing was tracked yet
    run(session.track(stop=8))
    assert session.unfinished() == Unfinished((0, 1, 9, 10, 11))
    assert len(session.graph().objects[0].masks) == 7
    folder = tmp_path / "pvsg"
    with pytest.raises(InputError) as caught:
        export_sessions([done, session], folder)
    assert str(caught.value) == (
        "frames: frames 0 and 1, 9 to 11 are not tracked: track on, leave the video "
        "out, or take it as it is"
    )
    assert not folder.exists()
    with pytest.raises(InputError, match="unfinished is 'skip': give one of 'refuse'"):
        export_sessions([done, session], folder, unfinished="skip")
    with pytest.raises(InputError, match="every video is unfinished: track on"):
        export_sessions([session], folder, unfinished="leave_out")
    splits = ["val", "train"]
    export_sessions([session, done], folder, splits, unfinished="leave_out")
    split = json.loads((folder / "pvsg.json").read_text())["split"]["click2graph"]
    assert split == {"train": ["frames"], "val": []} or split == {
        "train": ["video"],
        "val": [],
    }
    c2g_jax.export_sessions([session], tmp_path / "so", unfinished="take")
    assert len(written(tmp_path / "so")) == 1
    run(session.track())
    run(session.track(direction="both"))
    assert not session.unfinished()
    export_sessions([done, session], tmp_path / "all")
    assert len(written(tmp_path / "all")) == 2


def test_stale_frames_are_named(session, tmp_path):
    run(session.track())
    assert not session.unfinished()
    session.click(5, **centre(1, 1), object_id=1, positive=False)
    assert session.unfinished() == Unfinished((), tuple(range(3, 12)))
    with pytest.raises(InputError, match="frames: frames 3 to 11 are stale; frames"):
        export_sessions([session, session], tmp_path / "pvsg")
    assert not (tmp_path / "pvsg").exists()


@pytest.mark.parametrize(
    ("unfinished", "words"),
    [
        (Unfinished((3,)), "frame 3 is not tracked"),
        (Unfinished((3, 4)), "frames 3 and 4 are not tracked"),
        (Unfinished(tuple(range(31, 40))), "frames 31 to 39 are not tracked"),
        (
            Unfinished((0, 5, 6, 7), (9,)),
            "frames 0, 5 to 7 are not tracked, frame 9 is stale",
        ),
        (Unfinished(), ""),
    ],
)
def test_in_words(unfinished, words):
    assert (str(unfinished), bool(unfinished)) == (words, bool(words))


def test_masks_by_hand_and_imports_are_known_without_tracking(
    session, make_session, tmp_path
):
    run(session.track())
    session.relate(1, 2, "holding")
    graph = session.graph()
    by_hand = make_session(model=scripted.model(trained=False))
    masks = graph.objects[0].masks
    view = by_hand.mask(2, decode_mask(masks[2]))
    object_id = view.objects[-1].object_id
    assert by_hand.unfinished().untracked == tuple(range(3, LAST + 1)), (
        "one says little"
    )
    by_hand.mask(6, decode_mask(masks[6]), object_id)
    other = by_hand.mask(3, decode_mask(graph.objects[1].masks[3])).objects[-1]
    by_hand.relate(object_id, other.object_id, "holding", [(0, LAST)])
    assert not by_hand.unfinished(), "where there is no mask, it is not in view"
    for kind, name in (
        ("scene_graph", "a.json"),
        ("coco", "b.json"),
        ("open_pvsg", "c"),
    ):
        session.export(kind, tmp_path / name)
        again = make_session(model=scripted.model(trained=False))
        again.import_annotations(tmp_path / name)
        assert not again.unfinished(), kind
    by_hand.click(4, **OTHER)
    assert by_hand.unfinished().untracked, "a click is to be tracked"


def test_where_a_person_says_that_it_is_not_there_is_known(session):
    run(session.track(stop=8))
    assert session.unfinished().untracked == (9, 10, 11)
    session.set_spans(1, [(2, 8)])
    assert session.unfinished().untracked == (9, 10, 11), "the other may be there"
    session.set_spans(2, [(0, 9)])
    assert session.unfinished().untracked == (0, 1, 9)


def test_a_found_object_is_asked_for_where_it_is_related(make_session):
    session = make_session()
    session.click(**SUBJECT)
    run(session.track(stop=8))
    assert session.unfinished().untracked == (9, 10, 11)
    session.set_spans(1, [(2, 8)])
    assert not session.unfinished(), "a found object may come and go"
    session.relate(2, 1, "holding", [(3, 10)])
    assert session.unfinished().untracked == (9, 10)


def test_a_name_that_nobody_accepted_is_in_no_export(make_session, tmp_path):
    session = make_session(guesses="suggest")
    session.click(**SUBJECT)
    run(session.track())
    (guess, *_) = session.relations()
    session.accept((1, guess.object_id, guess.predicate))
    session.click(2, **centre(6, 1))
    run(session.track())
    new = [o for o in session.objects() if o.role == "subject"][-1]
    assert new.category != "unknown", "the page shows the guess"
    session.relate(new.object_id, 1, "beside", [(3, 5)])
    graph = session.graph()
    names = {o.object_id: (o.category, o.score) for o in graph.objects}
    assert names[new.object_id] == ("unknown", 0.0)
    told = {t.subject_category for f in graph.frames for t in f.triplets}
    assert new.category not in told - {names[1][0]}
    for kind, suffix in (("scene_graph", "json"), ("csv", "csv"), ("graphml", "xml")):
        session.export(kind, tmp_path / f"a.{suffix}")
        text = (tmp_path / f"a.{suffix}").read_text()
        assert (new.category in text) == (
            new.category in {n for n, _ in names.values()}
        )
    with pytest.raises(InputError, match=rf"no name \(frames: {new.object_id}\): name"):
        export_sessions([session], tmp_path / "pvsg")
    session.export("coco", tmp_path / "coco.json")
    document = json.loads((tmp_path / "coco.json").read_text())
    number = {c["name"]: c["id"] for c in document["categories"]}
    used = {
        a["category_id"]
        for a in document["annotations"]
        if a["track_id"] == new.object_id
    }
    assert used == {number["unknown"]}
    session.guesses = "take"
    named = {o.object_id: o.category for o in session.graph().objects}
    assert named[new.object_id] == new.category
    session.guesses = "suggest"
    session.accept(new.object_id)
    named = {o.object_id: o.category for o in session.graph().objects}
    assert named[new.object_id] == new.category
    export_sessions([session], tmp_path / "pvsg")
