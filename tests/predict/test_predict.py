"""The results of `predict`: a graph, an overlay and a table."""

import functools
import json
import shutil

import numpy as np
import pytest
from PIL import Image

from c2g_jax.checkpoints.pretrained import (
    abstract_click2graph,
    find_checkpoint,
    save_click2graph,
)
from c2g_jax.checkpoints.safetensors import fill_parameters, parameters, read_manifest
from c2g_jax.click2graph.model import click2graph_config
from c2g_jax.export.scene_graph_json import read_scene_graph
from c2g_jax.media.rle import decode_mask
from c2g_jax.media.video import open_video
from c2g_jax.predict import __main__ as predict
from c2g_jax.sam2.config import sam2_config
from c2g_jax.types import FrameResult, SubjectFrame, Triplet
from tests.clips import numbered, numbered_clip, readers
from tests.faked import run_predict

MASK = np.zeros((48, 64), bool)
MASK[10:20, 10:30] = True


def fake_tracker(job):
    """Scripted output: a subject on the left, and a cup beside it from frame 1 on."""

    def track(frames):
        (first, *_) = job.prompts
        for frame in frames:
            assert frame.rgb.shape == (48, 64, 3)
            masks, triplets = {first.object_id: MASK}, ()
            if frame.index:
                masks[9] = np.roll(MASK, 30, axis=1)
                triplets = (Triplet(9, "adult", "cup", "holding", 0.5),)
            points = np.float32([[40, 15]])
            subject = SubjectFrame(frame.index, first.object_id, points, triplets)
            opened = {p.object_id: None for p in job.prompts} | {9: first.object_id}
            yield FrameResult(frame.index, masks, (subject,), opened, dropped=1)

    return track


@pytest.fixture
def clip(tmp_path):
    return numbered_clip(tmp_path / "clip.mp4")


@pytest.fixture
def start_real(tmp_path, monkeypatch, capsys):
    """Runs predict in this process; returns exit code, stdout, stderr."""
    output = f"--output={tmp_path / 'out'}"
    return functools.partial(run_predict, monkeypatch, capsys, output)


@pytest.fixture
def start(start_real, monkeypatch):
    """Like `start`, with the scripted model."""
    monkeypatch.setattr(predict, "make_tracker", fake_tracker)
    return start_real


def test_a_video_becomes_a_graph_an_overlay_and_a_table(tmp_path, clip, start):
    code, out, err = start(
        f"--video={clip}", "--point=15,15", "--size=toy", "--min_frames=2"
    )
    assert (code, err) == (0, "")
    for words in ("1 adult", "holding", "9 cup", "0.2-0.8", "0.5"):
        assert words in out
    assert f"written to {tmp_path / 'out'}" in out
    names = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert names == ["overlay.mp4", "scene_graph.json"]

    graph = read_scene_graph(tmp_path / "out" / "scene_graph.json")
    assert graph.video.name == "clip.mp4"
    assert graph.video.times == (0.0, 0.2, 0.4, 0.6, 0.8)
    (relation,) = graph.relations
    assert (relation.predicate, relation.spans) == ("holding", ((1, 4),))
    assert list(graph.object(1).masks) == [0, 1, 2, 3, 4]
    np.testing.assert_array_equal(decode_mask(graph.object(1).masks[3]), MASK)
    assert graph.object(9).prompted_by == 1
    provenance = graph.provenance
    assert provenance["prompts"] == [
        {"frame": 0, "object": 1, "points": [[15.0, 15.0]], "labels": [1]}
    ]
    assert (provenance["size"], provenance["checkpoint"]) == ("toy", None)
    assert provenance["options"]["fps"] == 5
    assert provenance["dropped_tracks"] == 5

    overlay = list(open_video(tmp_path / "out" / "overlay.mp4", fps=None))
    assert [frame.time for frame in overlay] == [0.0, 0.2, 0.4, 0.6, 0.8]
    assert not readers()


def test_the_results_never_take_the_place_of_the_video(tmp_path, clip, start):
    (tmp_path / "out").mkdir()
    own = shutil.copy(clip, tmp_path / "out" / "overlay.mp4")
    frame = tmp_path / "out" / "overlay.png"
    Image.fromarray(numbered(0, 64, 48)).save(frame)
    kept = {path: path.read_bytes() for path in (tmp_path / "out").iterdir()}
    for video, what in ((own, "is"), (frame.parent, "is among the frames of")):
        code, _, err = start(f"--video={video}", "--point=15,15", "--size=toy")
        assert code == 2
        assert f"{what} --video: write to another place" in err
        assert {p: p.read_bytes() for p in (tmp_path / "out").iterdir()} == kept


def test_without_a_checkpoint_it_is_the_one_that_ships(tmp_path, clip, start):
    assert start(f"--video={clip}", "--point=15,15")[0] == 0
    made_by = read_scene_graph(tmp_path / "out" / "scene_graph.json").provenance
    manifest = read_manifest(find_checkpoint(None))
    assert made_by["checkpoint"] == dict(
        name="toy_checkpoint", sha256=manifest["sha256"]
    )
    assert made_by["size"] == manifest["size"]


def test_guesses_that_do_not_hold_are_told_of(tmp_path, clip, start):
    code, out, _ = start(f"--video={clip}", "--point=15,15", "--start_confidence=0.6")
    assert code == 0
    assert "no relations found: 4 predictions below --start_confidence" in out
    graph = read_scene_graph(tmp_path / "out" / "scene_graph.json")
    assert (graph.relations, len(graph.frames)) == ((), 5)


def test_the_same_again_gives_the_same_files(tmp_path, clip, start):
    arguments = f"--video={clip}", "--box=1,2,30,40", "--fps=0", "--size=toy"
    assert start(*arguments)[0] == 0
    first = (tmp_path / "out" / "scene_graph.json").read_bytes()
    assert start(*arguments)[0] == 0
    assert (tmp_path / "out" / "scene_graph.json").read_bytes() == first
    assert (
        len(read_scene_graph(tmp_path / "out" / "scene_graph.json").video.times) == 30
    )


def test_an_image_is_a_video_of_one_frame(tmp_path, start):
    Image.fromarray(numbered(3)).save(tmp_path / "a.png")
    code, out, err = start(f"--video={tmp_path}/a.png", "--point=1,1", "--size=toy")
    assert (code, err) == (0, "")
    assert "no relations found" in out
    names = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert names == ["overlay.mp4", "overlay.png", "scene_graph.json"]


def test_a_video_after_an_image_leaves_nothing_of_it(tmp_path, clip, start):
    Image.fromarray(numbered(3)).save(tmp_path / "a.png")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "notes.txt").write_text("mine")
    assert start(f"--video={tmp_path}/a.png", "--point=1,1", "--size=toy")[0] == 0
    assert (tmp_path / "out" / "overlay.png").exists()
    assert start(f"--video={clip}", "--point=1,1", "--size=toy")[0] == 0
    names = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert names == ["notes.txt", "overlay.mp4", "scene_graph.json"]


def test_points_labels_and_a_box_are_one_subject(clip, monkeypatch, start):
    jobs = []
    monkeypatch.setattr(
        predict, "make_tracker", lambda job: jobs.append(job) or fake_tracker(job)
    )
    points = ["--point=3,4", "--point=5,6.5", "--label=1", "--label=0"]
    code, *_ = start(
        f"--video={clip}", *points, "--box=1,2,30,40", "--frame=4", "--size=toy"
    )
    assert code == 0
    (prompt,) = jobs[0].prompts
    assert (prompt.frame, prompt.object_id) == (4, 1)
    assert prompt.points.tolist() == [[3, 4], [5, 6.5]]
    assert prompt.labels.tolist() == [1, 0]
    assert prompt.box.tolist() == [1, 2, 30, 40]


def test_several_subjects_from_a_file(tmp_path, clip, start):
    entries = [
        {"frame": 0, "object": 2, "points": [[15, 15]]},
        {"frame": 3, "object": 5, "box": [1, 2, 30, 40]},
    ]
    (tmp_path / "p.json").write_text(json.dumps({"prompts": entries}))
    code, _, err = start(
        f"--video={clip}", f"--prompts={tmp_path}/p.json", "--size=toy"
    )
    assert (code, err) == (0, "")
    graph = read_scene_graph(tmp_path / "out" / "scene_graph.json")
    assert [track.object_id for track in graph.objects] == [2, 5, 9]
    assert [track.prompted_by for track in graph.objects] == [None, None, 2]


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    folder = tmp_path_factory.mktemp("weights") / "toy"
    config = click2graph_config(sam2_config("toy", image_size=64))
    model, rng = abstract_click2graph(config), np.random.default_rng(0)
    values = {
        name: rng.normal(0, 0.05, leaf.shape).astype(np.float32)
        for name, leaf in parameters(model).items()
    }
    save_click2graph(fill_parameters(model, values, "test"), folder)
    return folder


def test_a_damaged_checkpoint(tmp_path, clip, start_real, checkpoint):
    folder = tmp_path / "cut"
    shutil.copytree(checkpoint, folder)
    weights = folder / "weights.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])
    code, out, err = start_real(
        f"--video={clip}", "--point=1,1", f"--checkpoint={folder}"
    )
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert "weights.safetensors" in err
    assert not (tmp_path / "out").exists()


def test_the_real_model_from_a_checkpoint(tmp_path, clip, start_real, checkpoint):
    code, out, err = start_real(
        f"--video={clip}",
        "--point=15,15",
        f"--checkpoint={checkpoint}",
        "--max_frames=2",
    )
    assert (code, err.count("\n")) == (0, 1)
    assert err.startswith("weights: the toy (toy), which knows the drawn world alone ")
    assert "written to" in out
    graph = read_scene_graph(tmp_path / "out" / "scene_graph.json")
    assert graph.video.num_frames == 2
    assert graph.object(1).prompted_by is None
    assert [subject.points.shape for subject in graph.frames] == [(3, 2), (3, 2)]
    assert graph.provenance["size"] == "toy"
    assert graph.provenance["checkpoint"]["name"] == "toy"
    assert len(graph.provenance["checkpoint"]["sha256"]) == 64


def test_what_the_prompts_say_is_in_the_graph(tmp_path, clip, start):
    document = {
        "prompts": [
            {"frame": 0, "object": 1, "points": [[15, 15]], "name": "dog"},
            {"frame": 0, "object": 2, "points": [[45, 15]], "name": "ball"},
        ],
        "relations": [[1, 2, "chasing", [[0, 2]]], [2, 1, "beside", [[1, 1]]]],
    }
    (tmp_path / "p.json").write_text(json.dumps(document))
    words = (f"--video={clip}", f"--prompts={tmp_path / 'p.json'}", "--size=toy")
    code, _, err = start(*words)
    assert (code, err) == (0, "")
    graph = read_scene_graph(tmp_path / "out" / "scene_graph.json")
    names = {o.object_id: (o.category, o.score) for o in graph.objects}
    assert names[1] == ("dog", 1.0)
    assert names[2] == ("ball", 1.0)
    told = {(r.subject_id, r.object_id, r.predicate): r for r in graph.relations}
    assert told[1, 2, "chasing"].spans == ((0, 2),)
    assert told[2, 1, "beside"].score == 1.0
    assert [p["name"] for p in graph.provenance["prompts"]] == ["dog", "ball"]
    document["relations"][0][3] = [[0, 99]]
    (tmp_path / "p.json").write_text(json.dumps(document))
    code, _, err = start(*words)
    assert code == 2
    assert "1 chasing 2: the span 0 to 99 goes beyond the video" in err
