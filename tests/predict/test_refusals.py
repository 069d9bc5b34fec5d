"""Errors of `predict`, and that an interrupted run leaves no files."""

import functools
import json

import pytest
from PIL import Image

from c2g_jax.predict import __main__ as predict
from c2g_jax.predict import results
from tests.clips import numbered, numbered_clip, readers
from tests.commands import run
from tests.faked import failing_tracker, fake_tracker, run_predict

MODULE = "c2g_jax.predict"
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
    "box outside": (["--box=1,48,5,49"], "box 1,48,5,49 lies outside the frame"),
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


@pytest.fixture
def clip(tmp_path):
    return numbered_clip(tmp_path / "clip.mp4")


@pytest.fixture
def start(tmp_path, monkeypatch, capsys):
    """Runs predict with the fake model; returns exit code, stdout, stderr."""
    monkeypatch.setattr(predict, "make_tracker", fake_tracker)
    output = f"--output={tmp_path / 'out'}"
    return functools.partial(run_predict, monkeypatch, capsys, output)


@pytest.mark.parametrize(("arguments", "words"), BAD.values(), ids=BAD.keys())
def test_bad_input_is_one_line_and_leaves_nothing(
    tmp_path, clip, start, monkeypatch, arguments, words
):
    monkeypatch.setattr(
        predict, "make_tracker", None
    )  # it must fail before the model is loaded
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
    assert "object 2 on frame 0 is given twice: merge the two" in err


def test_no_video_and_no_output(clip, monkeypatch, capsys):
    for arguments, words in (
        ([f"--video={clip}", POINT], "--output is missing"),
        (["--output=out", POINT], "--video is missing"),
    ):
        code, _, err = run_predict(monkeypatch, capsys, *arguments)
        assert code == 2
        assert words in err


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
        monkeypatch.setattr(predict, "make_tracker", failing_tracker(error))
    else:
        monkeypatch.setattr(results, "write_overlay", fail)
    before = sorted(tmp_path.iterdir())
    arguments = f"--video={clip}", POINT, "--size=toy"
    if code is None:
        with pytest.raises(error):
            start(*arguments)
    else:
        assert start(*arguments) == (code, "", "stopped before the end\n")
    assert sorted(tmp_path.iterdir()) == before
    assert not readers()


def test_the_program_itself_on_bad_input(tmp_path, clip):
    done = run(MODULE, f"--video={clip}", "--point=99,1", f"--output={tmp_path}/out")
    assert done.returncode == 2
    assert done.stdout == ""
    line = (
        "point 99,1 lies outside the frame: the frame is 64x48 pixels: give x from 0 "
        "to 63 and y from 0 to 47\n"
    )
    assert done.stderr == line
    assert not (tmp_path / "out").exists()
