"""Reading and writing of video files."""

import av
import numpy as np
import pytest
from PIL import Image

from c2g_jax.media.decoding import cut_short
from c2g_jax.media.video import open_video, write_mp4
from c2g_jax.types import Frame, InputError
from tests.clips import number_of, numbered, numbered_clip, numbers, readers, write_clip


def test_a_file_is_sampled_by_time(tmp_path):
    video = open_video(numbered_clip(tmp_path / "a.mp4"), fps=5)
    frames = list(video)
    assert [number_of(f.rgb) for f in frames] == [0, 6, 12, 18, 24]
    assert [f.index for f in frames] == [0, 1, 2, 3, 4]
    assert [f.time for f in frames] == [0.0, 0.2, 0.4, 0.6, 0.8]
    assert (video.num_frames, video.fps, video.name) == (5, 5, "a.mp4")
    assert (video.width, video.height) == (64, 48)
    assert frames[0].rgb.shape == (48, 64, 3)
    assert frames[0].rgb.dtype == np.uint8


def test_every_frame(tmp_path):
    video = open_video(numbered_clip(tmp_path / "a.mp4", 7), fps=None)
    assert numbers(video) == list(range(7))
    assert (video.num_frames, video.fps) == (7, 30)


def test_a_slow_video_gives_what_it_has(tmp_path):
    video = open_video(numbered_clip(tmp_path / "a.mp4", 4, fps=2), fps=5)
    assert numbers(video) == [0, 1, 2, 3]
    assert video.fps == 2


@pytest.mark.parametrize(
    ("options", "want"),
    [
        (dict(start=0.5), [15, 21, 27]),
        (dict(end=0.4), [0, 6, 12]),
        (dict(start=0.1, end=0.35), [3, 9]),
        (dict(max_frames=2), [0, 6]),
        (dict(start=0.5, max_frames=1), [15]),
    ],
)
def test_start_end_and_max_frames(tmp_path, options, want):
    video = open_video(numbered_clip(tmp_path / "a.mp4"), fps=5, **options)
    assert numbers(video) == want
    assert video.num_frames == len(want)
    assert next(iter(video)).time == pytest.approx(want[0] / 30, abs=1e-5)


def test_uneven_time_stamps_decide_not_positions(tmp_path):
    times = [0, 10, 20, 30, 210, 390, 400, 605]
    frames = [numbered(i) for i in range(len(times))]
    video = open_video(write_clip(tmp_path / "a.mp4", frames, times_ms=times), fps=5)
    # Nearest to 0, 0.2, 0.4 and 0.6 seconds.
    assert numbers(video) == [0, 4, 6, 7]
    assert [round(f.time, 3) for f in video] == [0, 0.21, 0.4, 0.605]


def test_seconds_count_from_the_first_frame(tmp_path):
    times = [1000 + 100 * i for i in range(8)]
    frames = [numbered(i) for i in range(8)]
    path = write_clip(tmp_path / "a.mkv", frames, times_ms=times, fps=10)
    with av.open(str(path)) as container:
        assert container.streams.video[0].start_time > 0
    video = open_video(path, fps=5, start=0.2)
    assert numbers(video) == [2, 4, 6]
    assert [f.time for f in video] == [0.2, 0.4, 0.6]


def test_start_seeks_to_the_exact_frame(tmp_path):
    # Key frames every 8, references in both directions.
    path = numbered_clip(tmp_path / "a.mp4", fps=10, g="8", bf="3", sc_threshold="0")
    for i in range(30):
        video = open_video(path, fps=None, start=i / 10, max_frames=1)
        assert numbers(video) == [i]


@pytest.mark.parametrize(
    ("name", "codec"), [("a.mov", "libx264"), ("a.webm", "libvpx-vp9")]
)
def test_other_containers(tmp_path, name, codec):
    video = open_video(numbered_clip(tmp_path / name, codec=codec), fps=15)
    assert numbers(video) == list(range(0, 30, 2))


def test_raw_h264_without_time_stamps(tmp_path):
    video = open_video(numbered_clip(tmp_path / "a.h264", 12, fps=10, bf="0"), fps=5)
    assert len(numbers(video)) == video.num_frames
    assert video.num_frames >= 2


def test_the_rotation_of_phones(tmp_path):
    rgb = np.zeros((48, 64, 3), np.uint8)
    rgb[:24, :32] = 255  # top left
    path = write_clip(tmp_path / "a.mp4", [rgb] * 2, rotation=90)
    video = open_video(path, fps=None)
    got = next(iter(video)).rgb
    assert (video.width, video.height) == (48, 64)
    assert got.shape == (64, 48, 3)
    # Rotated counter-clockwise: the top left corner moves to the bottom left.
    corners = got[8, 8], got[8, 40], got[56, 8], got[56, 40]
    assert [int(c.mean()) > 128 for c in corners] == [False, False, True, False]


# Bad input


def test_sources_that_cannot_be_read(tmp_path):
    (tmp_path / "text.mp4").write_text("no video")
    (tmp_path / "empty.mp4").touch()
    (tmp_path / "folder").mkdir()
    write_clip(tmp_path / "none.mkv", [numbered(0)])
    with av.open(str(tmp_path / "audio.wav"), "w") as container:
        stream = container.add_stream("pcm_s16le", rate=8000)
        sound = av.AudioFrame.from_ndarray(np.zeros((1, 800), np.int16), layout="mono")
        sound.sample_rate = 8000
        container.mux(stream.encode(sound))
    for name, words in {
        "missing.mp4": "no such video, image or folder",
        "text.mp4": "not a readable video",
        "empty.mp4": "not a readable video",
        "folder": "holds no jpg, png, bmp or webp frames",
        "audio.wav": "has no video track",
    }.items():
        with pytest.raises(InputError, match=words) as error:
            open_video(tmp_path / name)
        assert name in str(error.value)
        assert "\n" not in str(error.value)


def test_a_video_without_frames(tmp_path):
    path = tmp_path / "a.mkv"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=30)
        stream.height, stream.width, stream.pix_fmt = 48, 64, "yuv420p"
        container.start_encoding()
    with pytest.raises(InputError, match=r"a\.mkv"):
        open_video(path)
    with pytest.raises(InputError, match="no frames were given"):
        open_video([])


def noisy(path, damage, **options):
    """40 frames of noise at 10 per second, a key frame every 5, then changed bytes."""
    noise = np.random.default_rng(0).integers(0, 256, (40, 48, 64, 3), np.uint8)
    write_clip(path, noise, fps=10, g="5", **options)
    path.write_bytes(damage(path.read_bytes()))
    return path


@pytest.mark.parametrize(
    "damage",
    [
        lambda whole: whole[:200],
        lambda whole: whole[: len(whole) // 2],
        lambda whole: whole[: len(whole) // 2].ljust(len(whole), b"\0"),
    ],
)
def test_an_mp4_cut_short(tmp_path, damage):
    path = noisy(tmp_path / "a.mp4", damage, movflags="faststart")
    with pytest.raises(InputError, match="not a readable video, or cut short"):
        open_video(path)


def test_what_an_mp4_cut_short_lacks_is_named(tmp_path):
    cuts = {  # the index is at the end: cut within it, and before it
        "b": (
            lambda whole: whole[: whole.find(b"stsd")],
            "cut short, .* bytes are there",
        ),
        "c": (lambda whole: whole[: len(whole) // 2], "cut short: .* bytes are there"),
        "d": (
            lambda whole: whole[: whole.find(b"moov") - 4],
            r"index \(moov\) is miss",
        ),
    }
    for name, (damage, words) in cuts.items():
        path = noisy(tmp_path / f"{name}.mp4", damage)
        with pytest.raises(InputError, match=words) as caught:
            open_video(path)
        assert "codec" not in str(caught.value)
    whole = noisy(tmp_path / "a.mp4", lambda whole: whole)
    assert cut_short(whole) is None
    assert open_video(whole).num_frames == 20
    size = len(whole.read_bytes())
    cut = noisy(tmp_path / "e.mp4", lambda whole: whole[: size - 9])
    assert cut_short(cut) == f"{size - 9:,} of at least {size:,} bytes are there"
    (tmp_path / "text.mp4").write_text("not a video at all")
    assert cut_short(tmp_path / "text.mp4") is None


def test_a_recording_cut_short_gives_what_it_holds(tmp_path):
    path = noisy(tmp_path / "a.mkv", lambda whole: whole[: len(whole) // 2])
    video = open_video(path, fps=None)
    assert 15 < video.num_frames < 25
    assert len(list(video)) == video.num_frames


def test_a_video_damaged_inside(tmp_path):
    def damage(whole):
        half = len(whole) // 2
        return whole[:half] + bytes(3000) + whole[half + 3000 :]

    path = noisy(tmp_path / "a.mp4", damage, movflags="faststart")
    frames = iter(open_video(path, fps=None))
    words = r"the frame at (1.8|1.9|2.0|2.1|2.2)0 s cannot be decoded: use --end="
    with pytest.raises(InputError, match=words):
        list(frames)
    assert readers() == []
    # With sampling, neighbours replace the damaged frames.
    assert len(list(open_video(path, fps=1))) == 4


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (dict(fps=0), "fps is 0: give a number above 0"),
        (dict(fps=float("nan")), "fps is nan"),
        (dict(start=-1), "start is -1 s"),
        (dict(start=2), "no frame between start and end: the last is at 0.97 s"),
        (dict(start=0.5, end=0.5), "end is 0.5 s but start is 0.5 s: give a later"),
        (dict(end=0), "end is 0 s"),
        (dict(max_frames=0), "max_frames is 0"),
    ],
)
def test_samplings_that_cannot_be(tmp_path, options, words):
    path = numbered_clip(tmp_path / "a.mp4")
    with pytest.raises(InputError) as error:
        open_video(path, **options)
    assert words in str(error.value)


# Writing


def test_a_written_mp4_reads_back_at_its_times(tmp_path):
    times = [1.0, 1.2, 1.45, 1.6]
    frames = [Frame(i, t, numbered(i, 63, 47)) for i, t in enumerate(times)]
    write_mp4(tmp_path / "a.mp4", frames, fps=5)
    video = open_video(tmp_path / "a.mp4", fps=None)
    back = list(video)
    assert (video.width, video.height) == (64, 48)
    assert [number_of(f.rgb) for f in back] == [0, 1, 2, 3]
    assert [round(f.time, 3) for f in back] == [0, 0.2, 0.45, 0.6]
    with av.open(str(tmp_path / "a.mp4")) as container:
        context = container.streams.video[0].codec_context
        assert (context.name, context.pix_fmt) == ("h264", "yuv420p")
    assert [p.name for p in tmp_path.iterdir()] == ["a.mp4"]


def test_one_frame_makes_an_mp4(tmp_path):
    write_mp4(tmp_path / "a.mp4", [Frame(0, 0.0, numbered(4))], fps=None)
    assert numbers(open_video(tmp_path / "a.mp4")) == [4]


def test_an_error_while_writing_leaves_nothing(tmp_path):
    def frames():
        yield Frame(0, 0.0, numbered(0))
        raise InputError("broken")

    with pytest.raises(InputError, match="broken"):
        write_mp4(tmp_path / "a.mp4", frames(), fps=5)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("first", [0, 1, 7, 11, 12])
def test_a_pass_can_begin_at_any_frame(tmp_path, first):
    path = numbered_clip(tmp_path / "clip.mp4", 24, g="6", bf="2")
    folder = tmp_path / "frames"
    folder.mkdir()
    for i in range(12):
        Image.fromarray(numbered(2 * i)).save(folder / f"{i}.png")
    sources = (path, folder, [numbered(2 * i) for i in range(12)])
    for source in sources:
        video = open_video(source, fps=15)
        frames = list(video.read_from(first))
        assert [frame.index for frame in frames] == list(range(first, 12))
        assert [number_of(frame.rgb) for frame in frames] == list(
            range(2 * first, 24, 2)
        )
