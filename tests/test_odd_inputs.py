"""Unusual but valid inputs: names, images, videos."""

import numpy as np
import pytest
from PIL import Image

from c2g_jax.export.scene_graph_json import read_scene_graph
from c2g_jax.media.frames import Sampling, open_arrays
from c2g_jax.media.images import read_image
from c2g_jax.media.masks import read_mask
from c2g_jax.media.video import open_video
from c2g_jax.predict import __main__ as predict
from tests.clips import number_of, numbered, numbered_clip, write_clip
from tests.faked import fake_tracker, run_predict

GREY = numbered(7)[..., 0]
ALPHA = np.full_like(GREY, 128)
ODD_NAMES = (
    "Küche, 2. Aufnahme 🎬",
    "  spaces  ",
    "-dash",
    "a'\"$(b);c",
    "%20",
    "名" * 60,
)


@pytest.fixture
def graph_of(monkeypatch, capsys):
    """Runs predict and returns the graph, after checking that all results exist."""
    monkeypatch.setattr(predict, "make_tracker", fake_tracker)

    def call(video, output, *more):
        words = (f"--video={video}", f"--output={output}", "--size=toy", "--fps=0")
        words = (*words, "--min_frames=1", *more)
        code, out, err = run_predict(monkeypatch, capsys, *words)
        assert (code, err) == (0, "")
        assert "written to" in out
        names = {path.name for path in output.iterdir()}
        assert {"scene_graph.json", "overlay.mp4"} <= names
        return read_scene_graph(output / "scene_graph.json")

    return call


@pytest.mark.parametrize("name", ODD_NAMES)
def test_names_of_files_and_folders(tmp_path, graph_of, name):
    folder = tmp_path / name
    folder.mkdir()
    video = numbered_clip(folder / f"{name}.mp4", 2)
    graph = graph_of(video, folder / f"{name} out", "--point=1,1")
    assert graph.video.name == f"{name}.mp4"
    assert graph.video.num_frames == 2


def test_bytes_that_are_no_letters_in_a_name(tmp_path, graph_of):
    video = write_clip(tmp_path / "a.mp4", [numbered(1)])
    video = video.rename(tmp_path / "caf\udce9.mp4")  # a Latin-1 name
    graph = graph_of(video, tmp_path / "out\udce9", "--point=1,1")
    assert graph.video.name == "caf\ufffd.mp4"


IMAGES = {
    "grey.png": Image.fromarray(GREY),
    "grey16.png": Image.fromarray(GREY.astype(np.uint16) * 257),
    "grey_alpha.png": Image.fromarray(np.dstack([GREY, ALPHA])),
    "rgba.png": Image.fromarray(np.dstack([GREY, GREY, GREY, ALPHA])),
    "palette.png": Image.fromarray(numbered(7)).quantize(4),
    "bilevel.png": Image.fromarray(GREY > 0),
    "print.jpg": Image.fromarray(numbered(7)).convert("CMYK"),
    "UPPER.JPEG": Image.fromarray(numbered(7)),
    "web.webp": Image.fromarray(numbered(7)),
    "old.bmp": Image.fromarray(numbered(7)),
}


@pytest.mark.parametrize("name", IMAGES)
def test_kinds_of_images(tmp_path, graph_of, name):
    IMAGES[name].save(tmp_path / name)
    graph = graph_of(tmp_path / name, tmp_path / "out", "--point=63,47")
    assert (graph.video.width, graph.video.height) == (64, 48)
    assert graph.video.fps is None
    assert (tmp_path / "out" / "overlay.png").exists()
    if name != "bilevel.png":
        assert abs(number_of(read_image(tmp_path / name)) - 7) <= 1


@pytest.mark.parametrize("size", [(1, 1), (2, 1), (65, 47), (7, 301)], ids=str)
def test_odd_sizes(tmp_path, graph_of, size):
    width, height = size
    Image.fromarray(numbered(2, *size)).save(tmp_path / "a.png")
    graph = graph_of(tmp_path / "a.png", tmp_path / "out", "--point=0,0")
    assert (graph.video.width, graph.video.height) == size
    (overlay,) = open_video(tmp_path / "out" / "overlay.mp4", fps=None)
    assert overlay.rgb.shape[:2] == (height + height % 2, width + width % 2)


def test_a_video_of_one_frame(tmp_path, graph_of):
    video = write_clip(tmp_path / "a.mp4", [numbered(1)])
    graph = graph_of(video, tmp_path / "out", "--point=1,1")
    assert graph.video.times == (0.0,)
    assert graph.relations[0].spans == ((0, 0),)


def test_a_rate_that_varies(tmp_path, graph_of):
    """Phones record at a variable rate; the frames keep their own times."""
    times = (0, 40, 60, 200, 210, 900)
    frames = [numbered(i) for i in range(len(times))]
    video = write_clip(tmp_path / "a.mp4", frames, times_ms=times)
    graph = graph_of(video, tmp_path / "out", "--point=1,1", "--frame=5")
    assert graph.video.times == (0.0, 0.04, 0.06, 0.2, 0.21, 0.9)
    overlay = open_video(tmp_path / "out" / "overlay.mp4", fps=None)
    assert [frame.time for frame in overlay] == list(graph.video.times)


def test_a_folder_of_frames_that_other_things_lie_in(tmp_path, graph_of):
    folder = tmp_path / "frames"
    (folder / "deeper").mkdir(parents=True)
    for name in (10, 9, 1, 2):
        Image.fromarray(numbered(name)).save(folder / f"shot {name}.png")
    (folder / "notes.txt").write_text("order: 10, 9")
    (folder / "._shot 1.png").write_text("what a Mac leaves")
    graph = graph_of(folder, tmp_path / "out", "--point=1,1")
    assert graph.video.num_frames == 4
    shown = [number_of(frame.rgb) for frame in open_video(folder)]
    assert shown == [1, 2, 9, 10]


def test_prompts_from_an_editor_that_marks_its_files(tmp_path, graph_of):
    video = write_clip(tmp_path / "a.mp4", [numbered(1)])
    text = '\ufeff{"prompts": [{"frame": 0, "object": 3, "points": [[63.9, 0]]}]}\r\n'
    (tmp_path / "p.json").write_text(text, encoding="utf-8")
    graph = graph_of(video, tmp_path / "out", f"--prompts={tmp_path}/p.json")
    assert [track.object_id for track in graph.objects] == [3, 9]


def test_a_mask_in_16_bits_and_one_with_alpha(tmp_path, graph_of):
    video = write_clip(tmp_path / "a.mp4", [numbered(1)])
    painted = np.zeros((48, 64), np.uint16)
    painted[3:9, 4:20] = 1  # object id 1, as mask tools save it
    Image.fromarray(painted).save(tmp_path / "16.png")
    rgba = np.dstack([(painted * 255).astype(np.uint8)] * 3 + [np.full((48, 64), 255)])
    Image.fromarray(rgba.astype(np.uint8)).save(tmp_path / "rgba.png")
    for name in ("16", "rgba"):
        mask = tmp_path / f"{name}.png"
        np.testing.assert_array_equal(read_mask(mask), painted > 0)
        graph_of(video, tmp_path / name, f"--mask={mask}")


def test_arrays_of_every_kind_that_is_an_image():
    rgba = np.dstack([numbered(7), ALPHA])
    for array in (GREY, GREY[..., None], GREY.astype(np.uint16) * 257, rgba):
        (frame,) = open_arrays([array], Sampling())
        assert frame.rgb.shape == (48, 64, 3)
        assert number_of(frame.rgb) == 7
