"""Video files as people have them, beside a plain decode of their film track."""

import contextlib
import itertools
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image, ImageOps

from c2g_jax.media import decoding
from c2g_jax.media.display import shown_size
from c2g_jax.media.video import open_video
from c2g_jax.types import InputError
from tests.clips import number_of, numbered, numbered_clip, numbers, write_clip

FILMS = Path(__file__).parent / "films"


def plainly(path) -> list[np.ndarray]:
    """All pictures of the only film track of a file, as a plain decode shows them."""
    with av.open(str(path)) as container:
        return [
            picture.to_ndarray(format="rgb24")
            for picture in container.decode(container.streams.video[0])
        ]


def check_against(path, want, every: int = 1) -> None:
    """Check a whole pass, and every n-th frame asked for by itself."""
    video = open_video(path, fps=None)
    found = [frame.rgb for frame in video]
    assert video.num_frames == len(found) == len(want)
    np.testing.assert_array_equal(found, want)
    assert (np.diff(video.times) > 0).all()
    for i in (*range(0, len(want), every), len(want) - 1):
        with contextlib.closing(video.read_from(i)) as frames:
            frame = next(frames)
        assert (frame.index, frame.time) == (i, video.times[i])
        np.testing.assert_array_equal(frame.rgb, want[i])


@pytest.mark.parametrize(
    ("name", "count", "last"),
    [
        ("trim_copy.mp4", 30, 1.16),
        ("m2.mpg", 60, 2.36),
        ("h.avi", 60, 2.36),
        ("ab.ts", 24, 0.92),
        ("cov1.mp4", 10, 0.36),
    ],
)
def test_every_frame_that_a_plain_decode_shows(name, count, last):
    want = plainly(FILMS / name)
    assert len(want) == count
    check_against(FILMS / name, want, max(count // 12, 1))
    video = open_video(FILMS / name, fps=None)
    assert (video.times[0], video.times[-1], video.fps) == (0, last, 25)


@pytest.mark.parametrize("width", [60, 100, 170, 426, 854, 1080])
@pytest.mark.parametrize(
    ("name", "codec"),
    [("a.avi", "mpeg4"), ("a.ts", "libx264"), ("a.mp4", "mpeg4"), ("a.gif", None)],
)
def test_any_width(tmp_path, name, codec, width):
    """Decoders pad the rows of some widths, and of others not."""
    frames = [numbered(i, width, 50) for i in range(5)]
    if codec is None:
        first, *rest = map(Image.fromarray, frames)
        first.save(tmp_path / name, save_all=True, append_images=rest, duration=100)
    else:
        write_clip(tmp_path / name, frames, fps=25, codec=codec, clock=25)
    found = [frame.rgb for frame in open_video(tmp_path / name, fps=None)]
    assert [rgb.shape for rgb in found] == [(50, width, 3)] * 5
    assert [number_of(rgb) for rgb in found] == list(range(5))


def test_levels_of_the_films():
    levels = [frame.rgb.mean() for frame in open_video(FILMS / "m2.mpg", fps=None)]
    assert levels[9] == pytest.approx(74.8, abs=1)  # a level of 73, and its square
    levels = [frame.rgb.mean() for frame in open_video(FILMS / "ab.ts", fps=None)]
    assert np.diff(levels) == pytest.approx(6.6, abs=0.5)


def test_a_mirrored_film():
    rgb = next(iter(open_video(FILMS / "m_hflip.mp4"))).rgb
    rows, columns = np.nonzero(rgb[..., 0] > 160)
    # Colours are stored at half the size.
    assert (rows.min(), rows.max()) == pytest.approx((6, 23), abs=2)
    assert (columns.min(), columns.max()) == (110, 149)


def test_music_with_a_cover_has_no_video():
    with pytest.raises(InputError, match=r"song\.m4a: has no video track"):
        open_video(FILMS / "song.m4a")


def test_a_size_that_changes_is_refused_at_the_frame():
    video, found = open_video(FILMS / "rtc.webm", fps=None), []
    words = (
        r"rtc\.webm: the frame at 0.40 s is 96x128 but the first frame is 160x90: "
        "use --end=0.360"
    )
    with pytest.raises(InputError, match=words):
        found.extend(video)
    assert len(found) == 10
    whole = open_video(FILMS / "rtc.webm", fps=None, end=0.36)
    assert len(list(whole)) == 10
    later = open_video(FILMS / "rtc.webm", fps=None, start=0.4)
    assert (later.width, later.height, len(list(later))) == (96, 128, 10)


# Films made here


@pytest.mark.parametrize(
    ("name", "codec"),
    [
        ("a.mpg", "mpeg1video"),
        ("a.vob", "mpeg2video"),
        ("a.ts", "mpeg2video"),
        ("a.flv", "flv"),
        ("b.flv", "libx264"),
        ("a.ts", "libx264"),
        ("a.avi", "libx264"),
        ("b.avi", "mpeg4"),
        ("a.wmv", "wmv2"),
        ("a.webm", "libvpx"),
        ("a.mkv", "mpeg4"),
    ],
)
def test_containers_whose_times_or_seeks_are_guesses(tmp_path, name, codec):
    bf = "0" if codec in ("flv", "wmv2") else "2"
    path = numbered_clip(
        tmp_path / name, 20, fps=25, codec=codec, clock=25, g="6", bf=bf, b="2M"
    )
    want = plainly(path)
    assert list(map(number_of, want)) == list(range(20))
    check_against(path, want, 3)
    assert open_video(path, fps=None).fps == 25


def trimmed(source: Path, path: Path, seconds: float) -> Path:
    """Copy a film from `seconds` on, with the packets that this frame needs."""
    with av.open(str(source)) as film, av.open(str(path), "w") as container:
        stream = film.streams.video[0]
        copy = container.add_stream_from_template(stream)
        start = int(seconds / stream.time_base)
        packets = [packet for packet in film.demux(stream) if packet.size]
        entries = [i for i, p in enumerate(packets) if p.is_keyframe and p.pts <= start]
        for packet in packets[entries[-1] :]:
            packet.pts, packet.dts = packet.pts - start, packet.dts - start
            packet.stream = copy
            container.mux(packet)
    return path


@pytest.mark.parametrize(
    ("name", "codec"),
    [("a.mp4", "libx264"), ("a.mov", "libx264"), ("a.mp4", "mpeg4")],
)
@pytest.mark.parametrize("first", [7, 8, 19])
def test_trimmed_without_encoding_again(tmp_path, name, first, codec):
    options = dict(g="8", bf="2", sc_threshold="0", b="2M")
    whole = numbered_clip(tmp_path / name, 20, fps=25, codec=codec, **options)
    path = trimmed(whole, tmp_path / f"trimmed_{name}", first / 25)
    want = plainly(path)
    assert list(map(number_of, want)) == list(range(first, 20))
    check_against(path, want, 4)


@pytest.mark.parametrize(
    ("name", "later"), [("a.ts", 0), ("a.ts", 10**5), ("a.mpg", 0)]
)
def test_recordings_one_after_the_other(tmp_path, name, later):
    codec = "mpeg2video" if name == "a.mpg" else "libx264"
    for i, start in enumerate((0, later)):
        write_clip(
            tmp_path / f"{i}{name}",
            [numbered(12 * i + k) for k in range(12)],
            times_ms=[start + 40 * k for k in range(12)],
            fps=25,
            codec=codec,
            clock=25,
            b="2M",
        )
    both = [(tmp_path / f"{i}{name}").read_bytes() for i in range(2)]
    for order in ((0, 1), (1, 0)):
        path = tmp_path / name
        path.write_bytes(b"".join(both[i] for i in order))
        want = plainly(path)
        firsts = [12 * i + k for i in order for k in range(12)]
        assert list(map(number_of, want)) == firsts
        check_against(path, want, 7)
        assert np.diff(open_video(path, fps=None).times) == pytest.approx(0.04)


def test_frames_left_out_of_an_avi(tmp_path):
    times = [0, 40, 80, 200, 240, 600, 640]
    frames = [numbered(i) for i in range(7)]
    path = write_clip(
        tmp_path / "a.avi", frames, times_ms=times, fps=25, codec="mpeg4", bf="0"
    )
    video = open_video(path, fps=None)
    assert numbers(video) == list(range(7))
    assert [round(1000 * t) for t in video.times] == times


ORIENTATIONS = {  # FFmpeg's (a, b, c, d), and EXIF's number for the same
    1: (1, 0, 0, 1),
    2: (-1, 0, 0, 1),
    3: (-1, 0, 0, -1),
    4: (1, 0, 0, -1),
    5: (0, 1, 1, 0),
    6: (0, 1, -1, 0),
    7: (0, -1, -1, 0),
    8: (0, -1, 1, 0),
}


def corners() -> np.ndarray:
    """A picture whose corners all differ: uint8 [48, 64, 3]."""
    rgb = np.zeros((48, 64, 3), np.uint8)
    rgb[:24, :32], rgb[:24, 32:], rgb[24:, :32] = 240, 160, 80
    return rgb


def shown(orientation: int) -> np.ndarray:
    """`corners` as EXIF's orientation shows it, by PIL."""
    image = Image.fromarray(corners())
    image.getexif()[274] = orientation
    return np.asarray(ImageOps.exif_transpose(image))


@pytest.mark.parametrize("orientation", ORIENTATIONS)
def test_all_orientations_of_the_display_matrix(tmp_path, orientation):
    a, b, c, d = (value << 16 for value in ORIENTATIONS[orientation])
    path = write_clip(
        tmp_path / "a.mp4", [corners()] * 2, matrix=[a, b, 0, c, d, 0, 0, 0, 1 << 30]
    )
    want = shown(orientation)
    video = open_video(path, fps=None)
    for frame in video:
        assert (frame.height, frame.width) == want.shape[:2]
        assert np.abs(frame.rgb.astype(int) - want).mean() < 4  # of the encoding
    assert (video.height, video.width) == want.shape[:2]


@pytest.mark.parametrize("orientation", ORIENTATIONS)
def test_all_orientations_of_exif_in_motion_jpeg(tmp_path, orientation):
    exif = Image.Exif()
    exif[274] = orientation
    Image.fromarray(corners()).save(tmp_path / "a.jpg", exif=exif, quality=95)
    with av.open(str(tmp_path / "a.mkv"), "w") as container:
        stream = container.add_stream("mjpeg", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuvj420p"
        for i in range(3):
            packet = av.Packet((tmp_path / "a.jpg").read_bytes())
            packet.pts = packet.dts = 40 * i
            packet.time_base, packet.stream = Fraction(1, 1000), stream
            container.mux(packet)
    want = shown(orientation)
    frames = list(open_video(tmp_path / "a.mkv", fps=None))
    assert len(frames) == 3
    for frame in frames:
        assert frame.rgb.shape == want.shape
        assert np.abs(frame.rgb.astype(int) - want).mean() < 4


@pytest.mark.parametrize(
    ("ratio", "size"),
    [
        (Fraction(16, 15), (68, 48)),
        (Fraction(8, 9), (57, 48)),
        (Fraction(2, 1), (128, 48)),
        (Fraction(1, 1), (64, 48)),
    ],
)
@pytest.mark.parametrize("name", ["a.mp4", "a.ts"])
def test_pixels_that_are_not_square_are_shown_square(tmp_path, ratio, size, name):
    path = write_clip(tmp_path / name, [corners()] * 12, ratio=ratio)
    video = open_video(path, fps=None)
    assert (video.width, video.height) == size
    for frame in video:
        assert frame.rgb.shape == (size[1], size[0], 3)
        quarter = frame.rgb[size[1] // 4, [size[0] // 4, 3 * size[0] // 4], 0]
        assert quarter.tolist() == pytest.approx([240, 160], abs=6)


def test_implausible_shapes_of_pixels_are_ignored():
    for ratio in (None, Fraction(0), Fraction(1, 1000), Fraction(90_000)):
        assert shown_size(64, 48, ratio) == (64, 48)


def with_cover(path: Path, codec: str, cover_first: bool, attached: bool) -> Path:
    """A film of 12 frames beside a picture, which is a track of one frame."""
    with av.open(str(path), "w") as container:
        film = cover = None
        for kind in ("cover", "film") if cover_first else ("film", "cover"):
            if kind == "film":
                film = container.add_stream("libx264", rate=25)
                film.width, film.height, film.pix_fmt = 64, 48, "yuv420p"
            else:
                cover = container.add_stream(codec, rate=25)
                cover.width, cover.height = 128, 128
                cover.pix_fmt = "yuvj420p" if codec == "mjpeg" else "rgb24"
                if attached:
                    cover.disposition = av.stream.Disposition.attached_pic
        for stream, count in ((cover, 1), (film, 12)):
            for i in range(count):
                picture = numbered(i, stream.width, stream.height)
                container.mux(stream.encode(av.VideoFrame.from_ndarray(picture)))
            container.mux(stream.encode(None))
    return path


@pytest.mark.parametrize(("name", "codec"), [("a.mp4", "mjpeg"), ("a.mov", "png")])
@pytest.mark.parametrize("cover_first", [False, True])
@pytest.mark.parametrize("attached", [False, True])
def test_a_cover_is_not_the_film(tmp_path, name, codec, cover_first, attached):
    path = with_cover(tmp_path / name, codec, cover_first, attached)
    video = open_video(path, fps=None)
    assert (video.width, video.height) == (64, 48)
    assert numbers(video) == list(range(12))


def test_a_seek_that_lands_anywhere_gives_the_same_frames(tmp_path, monkeypatch):
    path = numbered_clip(tmp_path / "a.mp4", 20, fps=25, g="5", sc_threshold="0")
    want = plainly(path)
    table, find = decoding.read_table(path), decoding._find
    offsets = itertools.cycle([3, 9, 0, 27])
    # As if each seek landed some frames after the place that it was asked for.
    monkeypatch.setattr(
        decoding,
        "_find",
        lambda found, table, target: find(
            itertools.islice(found, next(offsets), None), table, target
        ),
    )
    for i in range(0, 20, 3):
        chosen = np.arange(20)
        frame = next(decoding.decode_frames(path, table, chosen, i))
        assert frame.index == i
        np.testing.assert_array_equal(frame.rgb, want[i])
