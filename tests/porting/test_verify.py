"""Both implementations compared on an image and a video of the user's."""

import pytest
from PIL import Image

pytest.importorskip("torch")
pytest.importorskip("sam2")

from porting import verify
from porting.official import convert
from porting.scenes import draw_video
from tests.commands import run

pytestmark = pytest.mark.parity


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    """A folder of frames of a size of its own."""
    folder = tmp_path_factory.mktemp("pictures")
    for index, frame in enumerate(draw_video(4, 60, 100)):
        Image.fromarray(frame).save(folder / f"{index}.png")
    return folder


def test_verify_on_an_image_and_a_video_of_yours(checkpoint, pictures, tmp_path):
    convert(checkpoint, tmp_path / "folder", "orbax")
    settings = (f"--checkpoint={checkpoint}", "--image_size=96")
    done = run("porting.verify", *settings, f"--image={pictures / '1.png'}")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "chosen mask" in done.stdout
    assert "frame 0" not in done.stdout
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
