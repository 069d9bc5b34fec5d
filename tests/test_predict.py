import json
import shutil
import subprocess
import sys
import threading

import numpy as np
import pytest
from absl.testing import flagsaver
from PIL import Image

from c2g_jax import predict
from c2g_jax.export import read_scene_graph
from c2g_jax.rle import decode_mask
from c2g_jax.types import FrameResult, SubjectFrame, Triplet
from c2g_jax.video import open_video
from tests.clips import numbered, write_clip

REAL_TRACKER = predict.make_tracker
MASK = np.zeros((48, 64), bool)
MASK[10:20, 10:30] = True


def fake_tracker(job):
    """A subject on the left in every frame, a cup beside it from frame 1 on."""

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
    return write_clip(tmp_path / "clip.mp4", [numbered(i) for i in range(30)])


@pytest.fixture
def start(tmp_path, monkeypatch, capsys):
    """Runs the program here, with a model that knows its answer; code, out, err."""
    monkeypatch.setattr(predict, "make_tracker", fake_tracker)
    output = tmp_path / "out"

    def call(*arguments):
        monkeypatch.setattr(sys, "argv", ["predict", f"--output={output}", *arguments])
        with flagsaver.flagsaver(), pytest.raises(SystemExit) as stop:
            predict.run()
        return stop.value.code or 0, *capsys.readouterr()

    return call


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
    assert not [t for t in threading.enumerate() if t.name == "read_ahead"]


def test_guesses_that_do_not_hold_are_told_of(tmp_path, clip, start):
    code, out, _ = start(f"--video={clip}", "--point=15,15", "--start_confidence=0.6")
    assert code == 0
    assert "no relations found: 4 guesses did not hold, see --start_confidence" in out
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


POINT = "--point=1,1"
BAD = {
    "no video": ([POINT, "--video="], "--video is missing"),
    "video flag": ([POINT, "--novideo"], "novideo"),
    "missing": (["--video=nowhere.mp4", POINT], "nowhere.mp4: no such video"),
    "corrupt": (["--video={tmp}/text.mp4", POINT], "text.mp4: not a readable video"),
    "empty folder": (["--video={tmp}/empty", POINT], "empty: holds no jpg, png"),
    "no prompt": ([], "no prompt: give --point, --box, --mask or --prompts"),
    "outside": (
        ["--point=64,1"],
        "point 64,1 lies outside the frame: the frame is 64x",
    ),
    "negative": (["--point=-1,1"], "point -1,1 lies outside"),
    "half a point": (["--point=3"], "--point=3: write --point=x,y in pixels"),
    "no number": (["--point=a,b"], "--point=a,b: write --point=x,y in pixels"),
    "nan": (["--point=nan,1"], "--point=nan,1: write --point=x,y in pixels"),
    "label": ([POINT, "--label=2"], "use 1 (on it) or 0 (off it)"),
    "labels": ([POINT, "--label=1", "--label=0"], "1 points but 2 labels"),
    "only label": (["--label=1"], "0 points but 1 labels"),
    "frame": ([POINT, "--frame=5"], "frame 5: the video has 5 sampled frames: use 0"),
    "frame -1": ([POINT, "--frame=-1"], "frame -1: frames count from 0"),
    "box": (["--box=9,1,5,3"], "box 9,1,5,3 has no area"),
    "box parts": (["--box=9,1,5"], "--box=9,1,5: write --box=x1,y1,x2,y2"),
    "box outside": (["--box=1,1,5,49"], "box 1,1,5,49 reaches outside the frame"),
    "mask size": (
        ["--mask={tmp}/mask.png"],
        "the mask is 32x48 but the frame is 64x48",
    ),
    "mask": (["--mask={tmp}/no.png"], "no.png: no such image"),
    "mask and point": (["--mask={tmp}/mask.png", POINT], "mixes a mask with points"),
    "prompts": (["--prompts={tmp}/no.json"], "no.json: no such prompts file"),
    "two ways": (["--prompts={tmp}/no.json", POINT], "--point and --prompts exclude"),
    "frame twice": (["--prompts=a.json", "--frame=0"], "--frame and --prompts exclude"),
    "fps": ([POINT, "--fps=-1"], "--fps is -1: give 0 (every frame), or up to 1000"),
    "a huge fps": (
        [POINT, "--fps=1e300"],
        "--fps is 1e+300: give 0 (every frame), or up to",
    ),
    "seed": ([POINT, "--seed=-1"], "--seed is -1: give 0 or more"),
    "confidence": ([POINT, "--min_confidence=nan"], "--min_confidence is nan"),
    "start": ([POINT, "--start=7"], "no frame between start and end"),
    "end": ([POINT, "--start=0.5", "--end=0.2"], "end is 0.2 s but start is 0.5 s"),
    "max_frames": ([POINT, "--max_frames=0"], "max_frames is 0: give 1 or more"),
    "every": ([POINT, "--discover_every=0"], "--discover_every is 0: give 1 or more"),
    "size": ([POINT, "--size=huge"], "unknown size 'huge'"),
    "image size": ([POINT, "--image_size=100"], "100 is not a positive multiple of 32"),
    "dtype": ([POINT, "--dtype=int8"], "unknown dtype 'int8'"),
    "checkpoint": ([POINT, "--checkpoint={tmp}"], "no checkpoint in"),
    "checkpoint size": (
        [POINT, "--checkpoint={tmp}/tiny", "--size=large"],
        "is of size tiny, not large: ask for --size=tiny",
    ),
    "output": ([POINT, "--output={tmp}/text.mp4"], "text.mp4 is a file: name a folder"),
    "flag": (
        [POINT, "--vidio=a.mp4"],
        "Unknown command line flag 'vidio'. Did you mean",
    ),
    "stray": (["1,1"], "unexpected argument '1,1'"),
}


@pytest.mark.parametrize(("arguments", "words"), BAD.values(), ids=BAD.keys())
def test_bad_input_is_one_line_and_leaves_nothing(
    tmp_path, clip, start, monkeypatch, arguments, words
):
    monkeypatch.setattr(predict, "make_tracker", None)  # it must not come that far
    (tmp_path / "text.mp4").write_text("no video")
    (tmp_path / "empty").mkdir()
    (tmp_path / "tiny").mkdir()
    manifest = {"size": "tiny", "sha256": "0"}
    (tmp_path / "tiny" / "manifest.json").write_text(json.dumps(manifest))
    Image.fromarray(numbered(1, width=32)).save(tmp_path / "mask.png")
    before = sorted(tmp_path.iterdir())
    arguments = [argument.replace("{tmp}", str(tmp_path)) for argument in arguments]
    code, out, err = start(f"--video={clip}", *arguments)
    assert code == 2
    assert out == ""
    assert words in err
    assert err.count("\n") == 1
    assert sorted(tmp_path.iterdir()) == before


def test_two_prompts_of_one_object_on_one_frame(tmp_path, clip, start):
    entries = [{"frame": 0, "object": 2, "points": [[15, 15]]}] * 2
    (tmp_path / "p.json").write_text(json.dumps(entries))
    code, _, err = start(f"--video={clip}", f"--prompts={tmp_path}/p.json")
    assert code == 2
    assert "object 2 on frame 0 is given twice: join the two into one" in err


def test_no_video_and_no_output(clip, monkeypatch, capsys):
    for arguments, words in (
        ([f"--video={clip}", POINT], "--output is missing"),
        (["--output=out", POINT], "--video is missing"),
    ):
        monkeypatch.setattr(sys, "argv", ["predict", *arguments])
        with flagsaver.flagsaver(), pytest.raises(SystemExit) as stop:
            predict.run()
        assert stop.value.code == 2
        assert words in capsys.readouterr().err


@pytest.mark.parametrize(
    ("error", "code"), [(KeyboardInterrupt, 130), (ZeroDivisionError, None)]
)
@pytest.mark.parametrize("place", ["track", "write_overlay"])
def test_an_end_on_the_way_leaves_nothing(
    tmp_path, clip, start, monkeypatch, error, code, place
):
    def fail(*_):
        raise error

    if place == "track":

        def track(frames):
            yield from fake_tracker(job)([next(frames)])
            fail()

        job = None

        def make(real):
            nonlocal job
            job = real
            return track

        monkeypatch.setattr(predict, "make_tracker", make)
    else:
        monkeypatch.setattr(predict, "write_overlay", fail)
    before = sorted(tmp_path.iterdir())
    arguments = f"--video={clip}", POINT, "--size=toy"
    if code is None:
        monkeypatch.setattr(sys, "argv", ["predict", f"--output={tmp_path}/out"])
        sys.argv += arguments
        with flagsaver.flagsaver(), pytest.raises(error):
            predict.run()
    else:
        assert start(*arguments) == (code, "", "stopped before the end\n")
    assert sorted(tmp_path.iterdir()) == before
    assert not [t for t in threading.enumerate() if t.name == "read_ahead"]


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    from c2g_jax.click2graph import click2graph_config
    from c2g_jax.pretrained import abstract_click2graph, save_click2graph
    from c2g_jax.sam2.config import sam2_config
    from c2g_jax.weights import fill_parameters, parameters

    folder = tmp_path_factory.mktemp("weights") / "toy"
    config = click2graph_config(sam2_config("toy", image_size=64))
    model, rng = abstract_click2graph(config), np.random.default_rng(0)
    values = {
        name: rng.normal(0, 0.05, leaf.shape).astype(np.float32)
        for name, leaf in parameters(model).items()
    }
    save_click2graph(fill_parameters(model, values, "test"), folder)
    return folder


def test_a_damaged_checkpoint(tmp_path, clip, start, monkeypatch, checkpoint):
    monkeypatch.setattr(predict, "make_tracker", REAL_TRACKER)
    folder = tmp_path / "cut"
    shutil.copytree(checkpoint, folder)
    weights = folder / "weights.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])
    code, out, err = start(f"--video={clip}", POINT, f"--checkpoint={folder}")
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert "weights.safetensors" in err
    assert not (tmp_path / "out").exists()


def test_the_real_model_from_a_checkpoint(
    tmp_path, clip, start, monkeypatch, checkpoint
):
    monkeypatch.setattr(predict, "make_tracker", REAL_TRACKER)
    code, out, err = start(
        f"--video={clip}",
        "--point=15,15",
        f"--checkpoint={checkpoint}",
        "--max_frames=2",
    )
    assert (code, err) == (0, "")
    assert "written to" in out
    graph = read_scene_graph(tmp_path / "out" / "scene_graph.json")
    assert graph.video.num_frames == 2
    assert graph.object(1).prompted_by is None
    assert [subject.points.shape for subject in graph.frames] == [(3, 2), (3, 2)]
    assert graph.provenance["size"] == "toy"
    assert graph.provenance["checkpoint"]["name"] == "toy"
    assert len(graph.provenance["checkpoint"]["sha256"]) == 64


def run_program(*arguments):
    return subprocess.run(
        [sys.executable, "-m", "c2g_jax.predict", *arguments],
        capture_output=True,
        text=True,
    )


def test_the_program_itself_on_bad_input(tmp_path, clip):
    done = run_program(f"--video={clip}", "--point=99,1", f"--output={tmp_path}/out")
    assert done.returncode == 2
    assert done.stdout == ""
    line = (
        "point 99,1 lies outside the frame: the frame is 64x48 pixels: give x from 0 "
        "to 63 and y from 0 to 47\n"
    )
    assert done.stderr == line
    assert not (tmp_path / "out").exists()
