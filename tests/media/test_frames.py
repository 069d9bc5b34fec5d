"""Frames of folders, images and arrays; sampling; reading ahead."""

import contextlib
import itertools
import time

import numpy as np
import pytest
from PIL import Image

from c2g_jax.media.frames import Sampling, read_ahead
from c2g_jax.media.video import open_video, write_mp4
from c2g_jax.types import Frame, InputError
from tests.clips import number_of, numbered, numbered_clip, numbers, readers


def test_pick_frames_against_a_slow_twin():
    rng = np.random.default_rng(0)
    for _ in range(50):
        times = np.round(np.cumsum(rng.uniform(0.01, 0.3, rng.integers(1, 40))), 4)
        times -= times[0]
        fps, start = rng.uniform(1, 20), rng.uniform(0, 1.5)
        inside = [i for i, t in enumerate(times) if t >= start - 0.002]
        want = []
        for k in itertools.count():
            tick = start + k / fps
            if not inside or tick > times[-1] + 0.002:
                break
            near = min(inside, key=lambda i: abs(times[i] - tick))
            if near not in want:
                want.append(near)
        assert Sampling(fps, start).pick(times).tolist() == want


def test_a_folder_of_frames(tmp_path):
    for i in (0, 1, 2, 10):
        Image.fromarray(numbered(i)).save(tmp_path / f"{i}.png")
    (tmp_path / ".DS_Store").touch()
    video = open_video(tmp_path, fps=2)
    assert numbers(video) == [0, 1, 2, 10]
    assert [f.time for f in video] == [0, 0.5, 1, 1.5]
    assert (video.num_frames, video.fps, video.name) == (4, 2, tmp_path.name)
    assert numbers(open_video(tmp_path, fps=2, start=0.5, max_frames=2)) == [1, 2]


def test_a_folder_of_unequal_frames(tmp_path):
    Image.fromarray(numbered(0)).save(tmp_path / "0.png")
    Image.fromarray(numbered(0, width=32)).save(tmp_path / "1.png")
    with pytest.raises(
        InputError, match=r"1\.png is 32x48 but the first frame is 64x48"
    ):
        open_video(tmp_path)


@pytest.mark.parametrize("suffix", ["jpg", "png", "webp"])
def test_a_folder_in_which_one_frame_is_turned(tmp_path, suffix):
    exif = Image.Exif()
    exif[274] = 6
    Image.fromarray(numbered(0)).save(tmp_path / f"0.{suffix}")
    Image.fromarray(numbered(0)).save(tmp_path / f"1.{suffix}", exif=exif)
    with pytest.raises(InputError, match="is 48x64 but the first frame is 64x48"):
        open_video(tmp_path)
    # Two turns make one size.
    turned = Image.fromarray(numbered(1).swapaxes(0, 1))
    turned.save(tmp_path / f"0.{suffix}")
    assert len(list(open_video(tmp_path))) == 2


def animation(path, count=5, durations=(40, 80, 120, 500, 100), **options):
    frames = [Image.fromarray(numbered(3 * i)) for i in range(count)]
    # PIL drops frames that equal the one before.
    frames[0].save(
        path,
        save_all=True,
        append_images=frames[1:],
        duration=list(durations),
        **options,
    )
    return path


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("a.webp", dict(lossless=True)),
        ("a.mp4", dict(format="WEBP", lossless=True)),
        ("a.png", {}),
        ("a.apng", dict(format="PNG")),
        ("a.gif", {}),
    ],
)
def test_animations_have_all_their_frames(tmp_path, name, options):
    path = animation(tmp_path / name, **options)
    video = open_video(path, fps=None)
    assert [round(n / 3) for n in numbers(video)] == [0, 1, 2, 3, 4]
    assert video.times == (0, 0.04, 0.12, 0.24, 0.74)
    assert video.num_frames == 5
    assert [frame.time for frame in video] == list(video.times)
    for first in range(5):
        frames = list(video.read_from(first))
        assert [frame.index for frame in frames] == list(range(first, 5))
        assert [number_of(frame.rgb) for frame in frames] == numbers(video)[first:]
    sampled = open_video(path, fps=5)
    assert [frame.time for frame in sampled] == [0, 0.24, 0.74]
    assert open_video(path, fps=None, start=0.1, end=0.3).times == (0.12, 0.24)


def test_a_picture_that_only_stands_in_for_an_animation(tmp_path):
    frames = [Image.fromarray(numbered(3 * i)) for i in range(4)]
    frames[0].save(
        tmp_path / "a.png",
        save_all=True,
        append_images=frames[1:],
        duration=50,
        default_image=True,
    )
    video = open_video(tmp_path / "a.png", fps=None)
    assert numbers(video) == [3, 6, 9]
    assert video.times == (0, 0.05, 0.1)


def test_an_animation_among_frames_is_refused(tmp_path):
    Image.fromarray(numbered(0)).save(tmp_path / "0.png")
    animation(tmp_path / "1.png")
    with pytest.raises(InputError, match=r"1\.png: is animated: give it by itself"):
        open_video(tmp_path)


def test_an_animation_cut_short(tmp_path):
    path = animation(tmp_path / "a.webp")
    path.write_bytes(path.read_bytes()[:-80])
    with pytest.raises(InputError, match=r"a\.webp: not a readable image"):
        list(open_video(path, fps=None))


@pytest.mark.parametrize("gap", [20, 3600, 40_000])
def test_frames_far_apart_have_a_rate(tmp_path, gap):
    frames = [Frame(i, float(gap * i), numbered(i)) for i in range(3)]
    write_mp4(tmp_path / "a.mp4", frames, 1 / gap)
    video = open_video(tmp_path / "a.mp4")
    assert numbers(video) == [0, 1, 2]
    assert video.fps == pytest.approx(1 / gap, rel=1e-3)
    assert video.times == (0, gap, 2 * gap)


def test_arrays_of_which_none_lies_in_the_time_asked_for():
    arrays = [numbered(i) for i in range(6)]
    for given in (arrays, iter(arrays)):
        with pytest.raises(
            InputError, match=r"no frame between.*the last is at 0.50 s"
        ):
            list(open_video(given, fps=10, start=0.6))
    assert numbers(open_video(iter(arrays), fps=10, start=0.5)) == [5]


def test_an_image_is_a_video_of_one_frame(tmp_path):
    Image.fromarray(numbered(3)).save(tmp_path / "a.png")
    video = open_video(tmp_path / "a.png")
    (frame,) = video
    np.testing.assert_array_equal(frame.rgb, numbered(3))
    assert (frame.index, frame.time) == (0, 0.0)
    assert (video.num_frames, video.fps) == (1, None)


def test_arrays_in_a_list_and_in_an_iterator():
    arrays = [numbered(i)[..., 0] for i in range(6)]
    video = open_video(arrays, fps=10, start=0.1, end=0.4, max_frames=3)
    assert (video.num_frames, video.width, video.height) == (3, 64, 48)
    assert numbers(video) == numbers(video) == [1, 2, 3]
    assert next(iter(video)).time == 0.1

    stream = open_video(iter(arrays), fps=10)
    assert stream.num_frames is None
    assert numbers(stream) == [0, 1, 2, 3, 4, 5]
    with pytest.raises(InputError, match="used up"):
        list(stream)


def test_a_list_of_unequal_frames_is_refused_at_once():
    turned = Image.fromarray(numbered(1))
    turned.getexif()[274] = 6
    for wrong in (numbered(1, width=32), Image.fromarray(numbered(1)[:9]), turned):
        frames = [numbered(0), wrong, numbered(2)]
        with pytest.raises(InputError, match=r"frame 1 is .* but the first frame is"):
            open_video(frames)
        assert numbers(open_video(frames, max_frames=1)) == [0]
        with pytest.raises(InputError, match="frame 1 is"):
            list(open_video(iter(frames)))


def test_an_endless_iterator_is_read_only_as_far_as_asked():
    video = open_video((numbered(i % 3) for i in itertools.count()), max_frames=4)
    assert numbers(video) == [0, 1, 2, 0]


def test_read_ahead_keeps_its_distance_and_its_order():
    made = []

    def source():
        for i in range(20):
            made.append(i)
            yield i

    items = read_ahead(source(), depth=3)
    assert next(items) == 0
    deadline = time.monotonic() + 5
    while len(made) < 5 and time.monotonic() < deadline:
        time.sleep(0.01)
    time.sleep(0.05)
    assert len(made) == 5  # one read, three queued, one being added
    assert list(items) == list(range(1, 20))
    assert readers() == []


def test_an_error_ahead_is_raised_in_its_turn():
    def source():
        yield 1
        raise InputError("broken")

    items = read_ahead(source(), depth=4)
    assert next(items) == 1
    with pytest.raises(InputError, match="broken"):
        next(items)
    assert readers() == []


def test_leaving_early_ends_thread_and_source(tmp_path):
    closed = []

    def source():
        try:
            yield from itertools.count()
        finally:
            closed.append(True)

    with contextlib.closing(read_ahead(source(), depth=2)) as items:
        assert next(items) == 0
    assert readers() == []
    assert closed == [True]

    path = numbered_clip(tmp_path / "a.mp4")
    video = open_video(path, fps=None)
    with contextlib.closing(iter(video)) as frames:
        next(frames)
    assert readers() == []
    never_started = iter(video)
    never_started.close()
    assert readers() == []
