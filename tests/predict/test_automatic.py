"""predict --auto and --videos: what is refused, what is written, what is resumed."""

import functools
import json
import shutil

import numpy as np
import pytest

from c2g_jax.export.scene_graph_json import read_scene_graph
from c2g_jax.media.rle import encode_mask
from c2g_jax.predict import __main__ as predict
from c2g_jax.predict import automatic
from c2g_jax.predict.films import films_of
from c2g_jax.predict.results import without_candidates
from c2g_jax.tracking.automatic import FoundObject
from c2g_jax.types import (
    FrameResult,
    InputError,
    ObjectTrack,
    Relation,
    SceneGraph,
    VideoInfo,
)
from tests.clips import numbered_clip
from tests.faked import fake_tracker, run_predict

POINT = "--point=15,15"


def test_exports_leave_out_what_is_in_no_relation():
    tracks = [
        ObjectTrack(i, "dog", 1.0, by, {})
        for i, by in ((1, None), (2, None), (3, 1), (4, 1), (5, 2))
    ]
    relations = (Relation(1, 3, "on", ((0, 1),), 0.5), Relation(5, 2, "on", (), 0.5))
    graph = SceneGraph(VideoInfo("v", 8, 8, 5.0, (0.0,)), tuple(tracks), relations)
    kept = without_candidates(graph)
    assert [track.object_id for track in kept.objects] == [1, 2, 3, 5]
    assert kept.relations == relations


@pytest.fixture
def clip(tmp_path):
    return numbered_clip(tmp_path / "clip.mp4")


@pytest.fixture
def films(tmp_path, clip):
    folder = tmp_path / "films"
    folder.mkdir()
    for name in ("b.mp4", "a.mp4"):
        shutil.copy(clip, folder / name)
    (folder / "notes.txt").write_text("no film")
    return folder


@pytest.fixture
def start(tmp_path, monkeypatch, capsys):
    output = f"--output={tmp_path / 'out'}"
    return functools.partial(run_predict, monkeypatch, capsys, output, "--size=toy")


class Alone:
    """A model of SAM2.1 alone."""

    sam2 = None

    class config:
        trained = False


class TwoFound:
    """In the place of the finder: the left half and the right half of each frame."""

    def __init__(self, sam2, rules, resize, count):
        self.rules = rules

    def step(self, frame):
        left = np.zeros((frame.height, frame.width), bool)
        left[:, : frame.width // 2] = True
        masks = {3: left, 7: ~left, 9: left}
        return FrameResult(frame.index, masks, (), dict.fromkeys(masks))

    def chosen(self, count):
        return [half(7), half(3)][: self.rules.max_subjects]


def half(i):
    mask = np.zeros((48, 64), bool)
    mask[:, :32], mask[:, 32:] = i == 3, i == 7
    return FoundObject(i, 0, encode_mask(mask), 0.9)


@pytest.fixture
def found(monkeypatch):
    made = []
    monkeypatch.setattr(predict, "make_model", lambda job: made.append(job) or Alone())
    monkeypatch.setattr(automatic, "ObjectFinder", TwoFound)
    return made


def test_objects_of_sam2_alone_are_tracks_without_names(tmp_path, clip, start, found):
    code, out, _ = start(f"--video={clip}", "--auto", "--formats=coco,open_pvsg")
    assert code == 0
    assert "2 objects followed, without relations" in out
    graph = read_scene_graph(tmp_path / "out" / "scene_graph.json")
    assert [o.object_id for o in graph.objects] == [1, 2]
    assert {o.category for o in graph.objects} == {"unknown"}
    assert all(list(o.masks) == [0, 1, 2, 3, 4] for o in graph.objects)
    assert not graph.relations
    assert graph.provenance["auto"]["max_subjects"] == 16
    assert [p["object"] for p in graph.provenance["prompts"]] == [1, 2]
    coco = json.loads((tmp_path / "out" / "coco.json").read_text())
    assert len(coco["annotations"]) == 10
    pvsg = json.loads((tmp_path / "out" / "open_pvsg" / "pvsg.json").read_text())
    assert [o["category"] for o in pvsg["data"][0]["objects"]] == ["others"] * 2
    # OpenPVSG's folder is not replaced.
    code, _, err = start(f"--video={clip}", "--auto", "--formats=open_pvsg")
    assert (code, "exists already: move it away" in err) == (2, True)


def test_at_most_so_many_subjects(tmp_path, clip, start, found):
    assert start(f"--video={clip}", "--auto", "--max_subjects=1")[0] == 0
    graph = read_scene_graph(tmp_path / "out" / "scene_graph.json")
    assert len(graph.objects) == 1


def test_a_folder_goes_on_film_by_film(tmp_path, films, start, found, monkeypatch):
    words = f"--videos={films}", "--auto"
    done = tmp_path / "out" / "a" / "scene_graph.json"

    class Stopped(TwoFound):
        def chosen(self, count):
            if done.exists():
                raise InputError("stopped at the second film")
            return super().chosen(count)

    monkeypatch.setattr(automatic, "ObjectFinder", Stopped)
    code, out, err = start(*words)
    assert (code, "stopped at the second film" in err) == (2, True)
    assert "0 of 2 films are done already" in out
    written = done.read_bytes(), done.stat().st_mtime_ns
    assert not (tmp_path / "out" / "b").exists()

    monkeypatch.setattr(automatic, "ObjectFinder", TwoFound)
    code, out, _ = start(*words)
    assert (code, "1 of 2 films are done already" in out) == (0, True)
    assert (done.read_bytes(), done.stat().st_mtime_ns) == written
    assert (tmp_path / "out" / "b" / "overlay.mp4").exists()
    # Everything is done: no model is built.
    count = len(found)
    assert "2 of 2 films" in start(*words)[1]
    assert len(found) == count
    # Not in another way.
    code, _, err = start(*words, "--fps=2")
    assert code == 2
    assert "was made in another way (options is not the same)" in err
    code, _, err = start(*words, "--max_subjects=3")
    assert "(auto is not the same)" in err
    # A format that is asked for later is written.
    assert start(*words, "--formats=coco")[0] == 0
    assert (tmp_path / "out" / "a" / "coco.json").exists()


def test_a_folder_with_prompts_for_each_film(tmp_path, films, start, monkeypatch):
    monkeypatch.setattr(predict, "make_model", lambda job: None)
    monkeypatch.setattr(predict, "tracker_of", lambda model, job: fake_tracker(job))
    monkeypatch.setattr(predict, "make_tracker", fake_tracker)
    prompts = tmp_path / "prompts"
    prompts.mkdir()
    for i, name in enumerate("ab", 1):
        entry = {"frame": 0, "object": i, "points": [[5, 5]]}
        (prompts / f"{name}.json").write_text(json.dumps({"prompts": [entry]}))
    assert start(f"--videos={films}", f"--prompts={prompts}")[0] == 0
    for i, name in enumerate("ab", 1):
        graph = read_scene_graph(tmp_path / "out" / name / "scene_graph.json")
        assert graph.object(i).prompted_by is None
    assert "2 of 2 films" in start(f"--videos={films}", f"--prompts={prompts}")[1]
    (prompts / "b.json").unlink()
    code, _, err = start(f"--videos={films}", f"--prompts={prompts}")
    assert (code, "b.json: no such prompts file" in err) == (2, True)


REFUSED = {
    "a click": (["--video={clip}", "--auto", POINT], "--auto and --point exclude each"),
    "a box": (
        ["--video={clip}", "--auto", "--box=1,1,5,5"],
        "--auto and --box exclude",
    ),
    "prompts": (
        ["--video={clip}", "--auto", "--prompts=a.json"],
        "--auto and --prompts exclude",
    ),
    "a frame": (
        ["--video={clip}", "--auto", "--frame=1"],
        "--auto and --frame exclude",
    ),
    "subjects": (
        ["--video={clip}", POINT, "--max_subjects=3"],
        "--max_subjects is given without --auto",
    ),
    "none": (
        ["--video={clip}", "--auto", "--max_subjects=0"],
        "--max_subjects is 0: give 1 or more",
    ),
    "lasting": (
        ["--video={clip}", "--auto", "--lasting=0"],
        "--lasting is 0: give 1 or more",
    ),
    "formats": (
        ["--video={clip}", "--auto", "--formats=csv"],
        "--formats=csv: use some of coco, open_pvsg",
    ),
    "both": (["--video={clip}", "--videos={films}", "--auto"], "--video and --videos"),
    "no prompts": (["--videos={films}"], "--videos needs a folder --prompts"),
    "a point of many": (["--videos={films}", POINT], "--videos needs a folder"),
    "no folder": (["--videos=nowhere", "--auto"], "--videos=nowhere: no such folder"),
    "empty": (["--videos={tmp}/empty", "--auto"], "no film in it: give a folder with"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refusals(tmp_path, clip, films, start, case):
    (tmp_path / "empty").mkdir()
    words, line = REFUSED[case]
    places = dict(clip=clip, films=films, tmp=tmp_path)
    code, _, err = start(*(word.format(**places) for word in words))
    assert code == 2
    assert line in err
    assert len(err.strip().splitlines()) == 1
    assert not (tmp_path / "out").exists()


def test_two_films_of_one_name(films, clip):
    assert list(films_of(films)) == ["a", "b"]
    with pytest.raises(InputError, match=r"a\.mp4: is a file: give it as --video"):
        films_of(films / "a.mp4")
    shutil.copy(clip, films / "a.mov")
    with pytest.raises(InputError, match=r"a\.mov and a\.mp4 would both be written"):
        films_of(films)
