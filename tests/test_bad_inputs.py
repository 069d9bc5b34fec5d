"""Invalid input is reported in one line that names the thing and the mend.

Exit code 2, no traceback, no file left behind, and no model built.
"""

import importlib
import json
import warnings
from pathlib import Path

import pytest

from c2g_jax.cli import launch
from c2g_jax.predict import __main__ as predict
from tests.bad_files import write_bad_files
from tests.commands import ROOT, refusal_here
from tests.web.conftest import client_of

CONFIG = f"--config={ROOT}/configs/toy_pvsg.py"
CLIP = ("--video={bad}/clip.mp4", "--output={bad}/out")
CLICK = (*CLIP, "--point=1,1")
WORK, OUT = "--workdir={bad}/out", "--output={bad}/out"
LONG = "a" * 300


def prompts(name: str) -> tuple[str, ...]:
    return (*CLIP, f"--prompts={{bad}}/{name}.json")


def weights(name: str) -> tuple[str, ...]:
    return (*CLICK, f"--checkpoint={{bad}}/{name}")


# Command, arguments, and the thing and the mend that the line must name.
TABLE = [
    # The video.
    ("predict", ("--point=1,1",), "--video is missing", "name a video"),
    ("predict", (*CLICK, "--video="), "--video is missing", "name a video"),
    ("predict", (*CLICK, "--video={bad}/no.mp4"), "no.mp4", "check the path"),
    ("predict", (*CLICK, "--video={bad}/text.mp4"), "text.mp4", "export it again"),
    (
        "predict",
        (*CLICK, "--video={bad}/nothing.mp4"),
        "nothing.mp4",
        "export it again",
    ),
    ("predict", (*CLICK, "--video={bad}/cut.mp4"), "cut.mp4", "export it again"),
    ("predict", (*CLICK, "--video={bad}/sound.mp4"), "no video track", "give a video"),
    ("predict", (*CLICK, "--video={bad}/empty"), "empty: holds no jpg", "add some"),
    ("predict", (*CLICK, "--video={bad}/text.png"), "text.png", "save it again"),
    ("predict", (*CLICK, "--video={bad}/nothing.png"), "nothing.png", "save it again"),
    ("predict", (*CLICK, "--video={bad}/cut.png"), "cut.png", "save it again"),
    ("predict", (*CLICK, "--video={bad}/bomb.png"), "bomb.png", "save it again"),
    ("predict", (*CLICK, "--video={bad}/sizes"), "10.png is 32x48", "of one size"),
    ("predict", (*CLICK, f"--video={{bad}}/{LONG}"), "aaa", "check the path"),
    ("predict", (*CLICK, "--video=a\0b"), "no such video", "check the path"),
    # Sampling.
    ("predict", (*CLICK, "--fps=-1"), "--fps is -1", "give 0 (every frame)"),
    ("predict", (*CLICK, "--fps=nan"), "--fps is nan", "give 0 (every frame)"),
    ("predict", (*CLICK, "--fps=inf"), "--fps is inf", "up to 1000"),
    ("predict", (*CLICK, "--start=nan"), "start is nan", "give 0 or more seconds"),
    ("predict", (*CLICK, "--start=inf"), "start is inf", "give 0 or more seconds"),
    ("predict", (*CLICK, "--start=99"), "the last is at 1.00 s", "start earlier"),
    ("predict", (*CLICK, "--end=inf"), "end is inf", "give a later second"),
    ("predict", (*CLICK, "--end=-1"), "end is -1", "give a later second"),
    ("predict", (*CLICK, "--max_frames=0"), "max_frames is 0", "give 1 or more"),
    ("predict", (*CLICK, "--frame=-1"), "frame -1", "use 0 or more"),
    ("predict", (*CLICK, "--frame=6"), "6 sampled frames", "use 0 to 5"),
    ("predict", (*CLICK, f"--frame=1{'0' * 30}"), "6 sampled frames", "use 0 to 5"),
    ("predict", (*CLICK, "--frame=first"), "--frame=first", "give a whole number"),
    # Prompts in flags.
    ("predict", CLIP, "no prompt", "give --point, --box, --mask or --prompts"),
    ("predict", (*CLICK, "--auto"), "--auto and --point", "--auto takes no prompt"),
    ("predict", (*CLICK, "--max_subjects=2"), "without --auto", "add --auto"),
    ("predict", (*CLICK, "--lasting=2"), "without --auto", "add --auto"),
    ("predict", (*CLIP, "--auto", "--lasting=0"), "--lasting is 0", "give 1 or more"),
    ("predict", (*CLICK, "--formats=csv"), "--formats=csv", "use some of coco"),
    ("predict", (*CLICK, "--videos={bad}"), "--video and --videos", "give one"),
    (
        "predict",
        ("--videos={bad}/empty", OUT, "--auto"),
        "no film in it",
        "give a folder",
    ),
    (
        "predict",
        ("--videos={bad}/no", OUT, "--auto"),
        "no such folder",
        "check the path",
    ),
    ("predict", (*CLIP, "--point=64,1"), "64,1 lies outside", "x from 0 to 63"),
    ("predict", (*CLIP, "--point=1,-1"), "1,-1 lies outside", "y from 0 to 47"),
    ("predict", (*CLIP, "--point=1e300,1"), "lies outside", "x from 0 to 63"),
    ("predict", (*CLIP, "--point=nan,1"), "--point=nan,1", "write --point=x,y"),
    ("predict", (*CLIP, "--point="), "--point=", "write --point=x,y"),
    ("predict", (*CLIP, "--point=1;1"), "--point=1;1", "write --point=x,y"),
    ("predict", (*CLICK, "--label=2"), "labels [2]", "use 1 (on it) or 0 (off it)"),
    ("predict", (*CLICK, "--label=1", "--label=1"), "1 points but 2", "give one label"),
    ("predict", (*CLIP, "--box=9,1,5,3"), "box 9,1,5,3", "x2 > x1"),
    ("predict", (*CLIP, "--box=64,1,65,3"), "box 64,1,65,3", "one that overlaps it"),
    ("predict", (*CLIP, "--box=1,1,5"), "--box=1,1,5", "write --box=x1,y1,x2,y2"),
    ("predict", (*CLIP, "--mask={bad}/no.png"), "no.png: no such", "check the path"),
    ("predict", (*CLIP, "--mask={bad}/clip.mp4"), "clip.mp4", "save it again"),
    ("predict", (*CLIP, "--mask={bad}/small_mask.png"), "is 32x48", "frame's size"),
    ("predict", (*CLIP, "--mask={bad}/black.png"), "the mask is empty", "paint"),
    ("predict", (*CLICK, "--mask={bad}/black.png"), "mixes a mask", "give one kind"),
    (
        "predict",
        (*CLIP, "--mask={bad}/ids.png"),
        "ids.png: has the objects 1, 2",
        "mask_id",
    ),
    ("predict", (*CLIP, "--mask={bad}/ids.png", "--mask_id=3"), "no object 3", "1, 2"),
    (
        "predict",
        (*CLIP, "--mask={bad}/dim.png"),
        "nowhere brighter",
        "paint the object",
    ),
    ("predict", (*CLIP, "--mask={bad}/turning.webp"), "is animated", "one picture"),
    (
        "predict",
        (*CLICK, "--mask_id=1"),
        "--mask_id is given without",
        "name the image",
    ),
    ("predict", (*CLICK, "--mask_id=-1"), "mask_id", "non-negative integer"),
    ("predict", (*CLICK, "--prompts=a.json"), "--point and --prompts", "give one"),
    # Prompts in a file.
    ("predict", prompts("no"), "no such prompts file", "check the path"),
    ("predict", (*CLIP, "--prompts={bad}/empty"), "not readable", "give a JSON file"),
    ("predict", prompts("half"), "not JSON", "fix it there"),
    ("predict", prompts("bytes"), "not JSON", "fix it there"),
    ("predict", prompts("bomb"), "nested too deep", "write a list of prompts"),
    ("predict", prompts("a_number"), "holds no prompts", "write"),
    ("predict", prompts("empty"), "holds no prompts", "write"),
    ("predict", prompts("nan"), "point nan,1 lies outside", "x from 0 to 63"),
    ("predict", prompts("infinite"), "point inf,1 lies outside", "x from 0 to 63"),
    ("predict", prompts("huge_number"), "'points'", "must be [[x, y], ...]"),
    ("predict", prompts("endless_number"), "not JSON", "fix it there"),
    ("predict", prompts("text_number"), "prompt 0: 'frame'", "a whole number, 0 or"),
    ("predict", prompts("negative_frame"), "prompt 0: 'frame'", "whole number, 0 or"),
    ("predict", prompts("late_frame"), "object 1 on frame 7", "use 0 to 5"),
    ("predict", prompts("object_0"), "prompt 0: 'object'", "a whole number, 1 or"),
    ("predict", prompts("true"), "prompt 0: 'object'", "a whole number, 1 or"),
    (
        "predict",
        prompts("twice"),
        "object 2 on frame 0 is given twice",
        "merge the two",
    ),
    ("predict", prompts("nothing"), "is empty", "give a point, a box or a mask"),
    ("predict", prompts("unknown_key"), "the key 'point'", "use frame, object, points"),
    ("predict", prompts("text_points"), "'points'", "must be [[x, y], ...]"),
    ("predict", prompts("flat_points"), "'points'", "must be [[x, y], ...]"),
    ("predict", prompts("label"), "labels [7", "use 1 (on it) or 0 (off it)"),
    ("predict", prompts("huge_mask"), "'mask'", "an image file or a COCO RLE"),
    ("predict", prompts("torn_mask"), "'mask'", "an image file or a COCO RLE"),
    ("predict", prompts("no_mask"), "nowhere.png: no such image", "check the path"),
    ("predict", prompts("mask_and_point"), "mixes a mask", "give one kind"),
    # The model.
    ("predict", (*CLICK, "--size=huge"), "unknown size 'huge'", "choose one of toy"),
    ("web", ("--dtype=int8",), "unknown dtype 'int8'", "choose float32"),
    ("predict", (*CLICK, "--dtype=int8"), "unknown dtype 'int8'", "choose float32"),
    ("predict", (*CLICK, "--image_size=100"), "image size 100", "try 96"),
    ("predict", (*CLICK, "--image_size=0"), "image size 0", "try 32"),
    ("predict", (*CLICK, "--image_size=3200000"), "image size 3200000", "try 8192"),
    ("predict", (*CLICK, f"--image_size=1{'0' * 400}"), "image size 10", "try 8192"),
    ("predict", (*CLICK, "--seed=-1"), "--seed is -1", "give 0 or more"),
    ("predict", (*CLICK, f"--seed={2**70}"), "--seed is", "give 0 or more, below 2^31"),
    ("predict", (*CLICK, "--discover_every=0"), "--discover_every is 0", "give 1"),
    ("predict", (*CLICK, "--max_gap=-1"), "--max_gap is -1", "give 0 or more"),
    ("predict", (*CLICK, "--min_confidence=2"), "--min_confidence is 2", "from 0 to 1"),
    ("predict", weights("nowhere"), "no checkpoint in", "give a folder that holds"),
    ("predict", (*CLICK, "--heads={bad}/no"), "no heads in", "give a heads.safe"),
    (
        "predict",
        (*CLICK, "--heads={bad}/frame.png"),
        "frame.png is not a safetensors",
        "give a heads.safetensors",
    ),
    (
        "predict",
        (*CLICK, "--size=toy", "--heads={bad}/no"),
        "--heads needs trained",
        "give a --checkpoint",
    ),
    ("web", ("--heads={bad}/no",), "no such file", "name a heads.safetensors"),
    ("predict", weights("frame.png"), "no checkpoint in", "give a folder that holds"),
    ("predict", weights("empty"), "no checkpoint in", "give a folder that holds"),
    ("predict", weights("manifest_text"), "manifest.json is not", "convert it again"),
    ("predict", weights("manifest_list"), "manifest.json is not", "convert it again"),
    ("predict", weights("manifest_bomb"), "manifest.json is not", "convert it again"),
    ("predict", weights("manifest_side"), "manifest.json is not", "convert it again"),
    ("predict", weights("manifest_size"), "unknown size 'huge'", "choose one of"),
    ("predict", (*weights("manifest_alone"), "--size=tiny"), "of size toy", "ask for"),
    # The output.
    ("predict", (*CLICK, "--output="), "--output is missing", "name a folder"),
    ("predict", (*CLICK, "--output={bad}/text.mp4"), "is a file", "name a folder"),
    ("predict", (*CLICK, "--output={bad}/text.mp4/a"), "is a file", "name a folder"),
    ("predict", (*CLICK, "--output=/proc/c2g"), "/proc/c2g", "name another folder"),
    ("predict", (*CLICK, f"--output={{bad}}/{LONG}"), "too long", "name another"),
    # Arguments that are not flags.
    ("predict", (*CLICK, "--vidio=a"), "flag 'vidio'", "Did you mean: video"),
    ("predict", (*CLICK, "1,1"), "unexpected argument '1,1'", "write flags as"),
    # The page.
    ("web", ("--port=70000",), "--port is 70000", "give a number from 0 to 65535"),
    ("web", ("--port=http",), "--port=http", "give a whole number"),
    ("web", ("--max_sessions=0",), "--max_sessions is 0", "give more than 0"),
    ("web", ("--session_hours=nan",), "--session_hours is nan", "give more than 0"),
    ("web", ("--max_upload_mb=-1",), "--max_upload_mb is -1", "give more than 0"),
    ("web", ("--video={bad}/no.mp4",), "no.mp4: no such file", "check the path"),
    ("web", ("--checkpoint={bad}/no",), "no such folder", "name a folder with"),
    ("web", ("--state={bad}/text.mp4/s",), "text.mp4/s", "name another"),
    (
        "web",
        ("--state={bad}/state", "--projects={bad}/text.mp4/s"),
        "text.mp4/s",
        "name a folder",
    ),
    ("web", ("--host=192.0.2.1",), "--host=192.0.2.1", "give 127.0.0.1"),
    # Preparing, training, evaluating.
    ("prepare", (), "no download", "give --manual_dir, or --toy"),
    ("prepare", ("--audit",), "nothing to audit", "give --manual_dir or --annotations"),
    ("prepare", ("--audit", "--toy"), "--audit and --toy", "leave one out"),
    ("prepare", ("--annotations=a.json",), "--annotations needs", "add it"),
    ("prepare", ("--toy",), "no place for the prepared set", "give --data_dir"),
    ("prepare", ("--toy_size=vast",), "toy_size", "tiny|train|val|full"),
    ("prepare", ("--workers=-1",), "workers", "non-negative integer"),
    ("train", (), "--config is missing", "name a file"),
    ("train", (CONFIG, "--workdir="), "--workdir is missing", "name a folder"),
    ("train", (CONFIG, "--config.lr.shc=1"), "--config.lr.shc", "did you mean 'sch'"),
    ("train", (CONFIG, "--workdir={bad}/text.mp4"), "is a file", "name a folder"),
    ("train", (CONFIG, "--workdir={bad}/text.mp4/w"), "is a file", "name a folder"),
    ("train", (CONFIG, WORK, "--config.lr.sch=nan"), "lr.sch=nan", "a finite number"),
    ("train", (CONFIG, WORK, "--config.loss.bce=inf"), "bce=inf", "a finite number"),
    ("plot", ("--results={bad}/bomb.json", OUT), "bomb.json", "check the name"),
    ("evaluate", (), "--output is missing", "name a folder"),
    ("evaluate", ("--output={bad}/out",), "--data_dir is missing", "name the folder"),
    ("evaluate", ("--output={bad}/text.mp4",), "is a file", "name a folder"),
    (
        "evaluate",
        ("--output={bad}/out", "--max_tracks=0"),
        "--max_tracks=0",
        "1 or more",
    ),
    (
        "evaluate",
        ("--output={bad}/out", "--subject_iou=-1"),
        "--subject_iou=-1",
        "0 <= x <= 1",
    ),
    ("evaluate", ("--output={bad}/out", "--memory=0"), "--memory=0", "above 0"),
    ("evaluate", ("--output={bad}/out", "--memory=nan"), "--memory=nan", "above 0"),
    # Flags of another command.
    ("correct", ("--tau=0.3",), "--tau has no effect", "--help lists its flags"),
    ("train", (CONFIG, "--checkpoint=a"), "--checkpoint has no effect", "--help"),
    ("train", (CONFIG, "--heads=a"), "--heads has no effect", "--help"),
    ("predict", (*CLICK, "--data_dir=a"), "--data_dir has no effect", "--help"),
]
AT = '{"kind": "point", "frame": 0, "y": 1, "x": '
POINT = {"kind": "point", "frame": 0, "x": 60, "y": 80}
BOX = {"kind": "box", "frame": 0, "x1": 1, "y1": 1, "x2": 9, "y2": 9}
LINK = {"subject_id": 1, "object_id": 2, "predicate": "holding"}
DEEP = "[" * 60_000

# Method, path below the session's, body (a string is sent as it is), status, and what
# the sentence must name. A path that starts with "@" is not below a session.
REQUESTS = [
    ("POST", "/prompts", "{", 422, "JSON"),
    ("POST", "/prompts", DEEP, 400, "body"),
    ("POST", "/prompts", f'{{"frame": 1{"0" * 5000}}}', 400, "body"),
    ("POST", "/prompts", "x" * 270_000, 413, "262144 bytes: send less"),
    ("POST", "/prompts", [], 422, "object"),
    ("POST", "/prompts", {}, 422, "kind"),
    ("POST", "/prompts", {"kind": "sphere"}, 422, "'point', 'box', 'object'"),
    ("POST", "/prompts", POINT | {"x": None}, 422, "x: Input should be a valid number"),
    ("POST", "/prompts", POINT | {"x": "left"}, 422, "x: Input should be a valid"),
    ("POST", "/prompts", AT + "NaN}", 422, "x: Input should be a finite number"),
    ("POST", "/prompts", AT + "1e999}", 422, "x: Input should be a finite number"),
    ("POST", "/prompts", POINT | {"x": 1e300}, 422, "outside the frame"),
    ("POST", "/prompts", POINT | {"x": -1}, 422, "outside the frame"),
    ("POST", "/prompts", POINT | {"frame": -1}, 422, "frame: Input should be greater"),
    ("POST", "/prompts", POINT | {"frame": 1.5}, 422, "frame: Input should be a valid"),
    ("POST", "/prompts", POINT | {"frame": 10**20}, 422, "frame: Input should be less"),
    ("POST", "/prompts", POINT | {"object_id": "a"}, 422, "object_id: Input should be"),
    ("POST", "/prompts", POINT | {"object_id": 7}, 422, "no object 7"),
    ("POST", "/prompts", POINT | {"more": 1}, 422, "more: Extra inputs"),
    ("POST", "/prompts", BOX | {"x2": 1}, 422, "the box has no area"),
    ("DELETE", "/prompts", None, 422, "frame: Field required"),
    ("DELETE", "/prompts?frame=0&object_id=9&index=0", None, 422, "no object 9"),
    ("DELETE", "/objects/me", None, 422, "object_id: Input should be a valid integer"),
    ("DELETE", f"/objects/{10**30}", None, 422, "no object 1000"),
    ("PATCH", "/objects/1", {"category": "unicorn"}, 422, "no object 1"),
    ("PATCH", "/objects/1", {"category": "a" * 101}, 422, "at most 100 characters"),
    ("PATCH", "/objects/1", '{"category": "\\ud800"}', 422, "category: "),
    ("PATCH", "/relations", LINK | {"start": -1}, 422, "start: Input should be"),
    ("PATCH", "/relations", LINK | {"predicate": "eats up"}, 422, "'eats up'"),
    ("PATCH", "/relations", LINK, 422, "no object 1"),
    ("POST", "/track", {}, 422, "click on a subject first"),
    ("POST", "/track", {"direction": "up"}, 422, "'forward', 'backward' or 'both'"),
    ("POST", "/track", {"start": "now"}, 422, "start: Input should be a valid integer"),
    ("POST", "/undo", None, 422, "nothing to undo"),
    ("GET", "/frames/-1.jpg", None, 404, "use 0 to 0"),
    ("GET", "/frames/9", None, 404, "use 0 to 0"),
    ("GET", "/frames/first", None, 422, "frame: Input should be a valid integer"),
    ("GET", "/export?format=doc", None, 422, "choose one of scene_graph"),
    ("GET", "/graph?threshold=2", None, 422, "threshold: Input should be less"),
    ("GET", "/graph?threshold=nan", None, 422, "threshold: "),
    ("PUT", "", {}, 405, "does not support that method"),
    ("GET", "@/sessions/..%2F..%2Fetc", None, 404, "nothing at this address"),
    ("GET", "@/sessions/unknown", None, 404, "open the video again"),
    ("GET", "@/static/../../types.py", None, 404, "nothing at this address"),
    ("POST", "@/sessions", "", 422, "choose a video or image"),
    ("POST", "@/sessions", "text", 415, "use mp4, mov, webm, jpg or png"),
    ("POST", "@/sessions", {}, 404, "open a video"),
]
MODULES = {name: f"c2g_jax.{name}.__main__" for name in ("predict", "web")}


@pytest.fixture(scope="module")
def bad(tmp_path_factory):
    return write_bad_files(tmp_path_factory.mktemp("bad"))


def everything(folder: Path) -> dict[Path, int]:
    return {path: path.lstat().st_size for path in sorted(folder.rglob("*"))}


def line_of(command: str, words, monkeypatch, capsys) -> str:
    """Run a command in this process; returns the line of its exit with code 2."""
    module = importlib.import_module(MODULES.get(command, f"c2g_jax.{command}"))
    start = getattr(module, "run", lambda: launch.run(module.main))
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)  # would be a second line
        return refusal_here(start, monkeypatch, capsys, command, *words)


@pytest.mark.parametrize(
    ("command", "words", "thing", "mend"),
    TABLE,
    ids=[f"{row[0]}: {row[2][:40]}" for row in TABLE],
)
def test_one_line_and_nothing_left(
    bad, tmp_path, monkeypatch, capsys, command, words, thing, mend
):
    monkeypatch.setattr(predict, "make_tracker", None)  # it must not come that far
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    words = [word.replace("{bad}", str(bad)) for word in words]
    before = everything(bad)
    line = line_of(command, words, monkeypatch, capsys)
    assert thing in line
    assert mend in line
    assert everything(bad) == before


@pytest.fixture(scope="module")
def client(bad, tmp_path_factory):
    """A page with a session on one image, which is not to be changed."""
    with client_of(tmp_path_factory.mktemp("page") / "state") as client:
        image = (bad / "frame.png").read_bytes()
        opened = client.post("/sessions", params={"name": "f.png"}, content=image)
        assert opened.status_code == 201, opened.text
        client.session = f"/sessions/{opened.json()['id']}"
        assert client.get(f"{client.session}/graph").status_code == 200  # loads a model
        yield client


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "words"),
    REQUESTS,
    ids=[f"{row[0]} {row[1][:20]} {row[4][:40]}" for row in REQUESTS],
)
def test_one_sentence_with_a_status(client, method, path, body, status, words):
    before = client.get(client.session).json()
    address = path[1:] if path.startswith("@") else client.session + path
    content, headers = body, {}
    if body is not None and address != "/sessions":
        headers = {"Content-Type": "application/json"}
    if isinstance(body, dict | list):
        content, headers = json.dumps(body), {"Content-Type": "application/json"}
    answer = client.request(method, address, content=content, headers=headers)
    assert answer.status_code == status, answer.text
    assert list(answer.json()) == ["error"]
    line = answer.json()["error"]
    assert words in line
    assert "\n" not in line
    assert "Traceback" not in line
    assert client.get(client.session).json() == before
