"""Both implementations compared on an image and a video of the user's."""

import pytest
from PIL import Image

pytest.importorskip("torch")
pytest.importorskip("sam2")

from c2g_jax.checkpoints.released.official import convert
from porting import verify
from porting.scenes import draw_video
from porting.seeded import keep_in_view, save_checkpoint
from tests.commands import run

pytestmark = pytest.mark.parity


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    """A folder of frames of a size of its own."""
    folder = tmp_path_factory.mktemp("pictures")
    for index, frame in enumerate(draw_video(4, 60, 100)):
        Image.fromarray(frame).save(folder / f"{index}.png")
    return folder


@pytest.fixture(scope="module")
def in_view(official, pictures, tmp_path_factory):
    """A seeded checkpoint that tracks the object in the centre of the pictures."""
    frames = draw_video(2, 60, 100)
    state = keep_in_view(official, "toy", frames, (0.5, 0.5), 96)
    path = tmp_path_factory.mktemp("in_view") / "toy.pt"
    save_checkpoint(state, path)
    return path


def test_verify_on_an_image_and_a_video_of_yours(in_view, pictures, tmp_path):
    convert(in_view, tmp_path / "folder", "orbax")
    settings = (f"--checkpoint={in_view}", "--image_size=96")
    done = run("porting.verify", *settings, f"--image={pictures / '1.png'}")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "chosen mask" in done.stdout
    assert "frame 0" not in done.stdout
    assert "gradient of points alone, didm" in done.stdout
    done = run(
        "porting.verify",
        *settings,
        f"--flax={tmp_path / 'folder'}",
        f"--video={pictures}",
        "--max_frames=2",
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "frame 1 " in done.stdout
    assert "frame 2 " not in done.stdout
    assert "rows within bound" in done.stdout


def test_a_video_on_which_nothing_is_tracked_fails(official, pictures, tmp_path):
    state = dict(official)
    name = "sam_mask_decoder.pred_obj_score_head.layers.2.bias"
    state[name] = state[name] - 1000
    save_checkpoint(state, tmp_path / "blind.pt")
    done = run(
        "porting.verify",
        f"--checkpoint={tmp_path / 'blind.pt'}",
        "--image_size=96",
        f"--video={pictures}",
        "--max_frames=2",
    )
    assert done.returncode == 1, done.stdout + done.stderr
    line = done.stdout.strip().splitlines()[-1]
    assert line.startswith("the object is on no tracked frame")


@pytest.mark.parametrize(
    ("args", "line"),
    [
        (("--image=nowhere.png",), "nowhere.png: no such image"),
        (("--video=nowhere.mp4",), "nowhere.mp4: no such video"),
        (("--image=a.png", "--max_frames=2"), "leave out --video and --max_frames"),
    ],
)
def test_verify_refuses_in_one_line(args, line, refuse):
    assert line in refuse(verify, "--seeded=toy", *args)
