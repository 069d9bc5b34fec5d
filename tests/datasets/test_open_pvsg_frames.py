"""Frames of videos as they come: covers, mirrors, edit lists, changing sizes."""

import av
import numpy as np
import pytest
from open_pvsg import frames, scan
from open_pvsg.download import Place, VideoFiles

from tests.clips import write_clip
from tests.media.test_decoding import FILMS, ORIENTATIONS, corners, shown, with_cover


@pytest.mark.parametrize(
    ("name", "count", "size"),
    [
        ("cov1.mp4", 10, (90, 160)),
        ("trim_copy.mp4", 30, (90, 160)),
        ("m_hflip.mp4", 10, (90, 160)),
    ],
)
def test_frames_of_films(name, count, size):
    pictures = list(frames.decode(Place(str(FILMS / name))))
    assert len(pictures) == count
    assert {frames.shown_size(picture) for picture in pictures} == {size}
    with av.open(str(FILMS / name)) as container:
        plain = [p.to_ndarray(format="rgb24") for p in container.decode(video=0)]
    mirrored = slice(None, None, -1 if name == "m_hflip.mp4" else 1)
    found = np.stack(list(map(frames.to_rgb, pictures)))
    np.testing.assert_array_equal(found, np.stack(plain)[:, :, mirrored])


@pytest.mark.parametrize("attached", [False, True])
def test_a_cover_before_the_film(tmp_path, attached):
    path = with_cover(tmp_path / "a.mp4", "mjpeg", True, attached)
    pictures = list(frames.decode(Place(str(path))))
    assert [frames.shown_size(picture) for picture in pictures] == [(48, 64)] * 12


def test_music_with_a_cover_has_no_video():
    with pytest.raises(OSError, match="it has no video stream"):
        next(frames.decode(Place(str(FILMS / "song.m4a"))))


@pytest.mark.parametrize("orientation", ORIENTATIONS)
def test_all_orientations(tmp_path, orientation):
    a, b, c, d = (value << 16 for value in ORIENTATIONS[orientation])
    matrix = [a, b, 0, c, d, 0, 0, 0, 1 << 30]
    path = write_clip(tmp_path / "a.mp4", [corners()], matrix=matrix)
    (picture,) = frames.decode(Place(str(path)))
    want = shown(orientation)
    assert frames.shown_size(picture) == want.shape[:2]
    assert np.abs(frames.to_rgb(picture).astype(int) - want).mean() < 4


@pytest.mark.parametrize("turns", range(4))
def test_side_data_of_an_unknown_type(turns):
    class Picture:
        rotation, width, height = 90 * turns - 180, 64, 48

        @property
        def side_data(self):
            raise ValueError("31 is not a valid Type")

        def to_ndarray(self, format):
            return corners()

    want = np.rot90(corners(), turns - 2)
    np.testing.assert_array_equal(frames.to_rgb(Picture()), want)
    assert frames.shown_size(Picture()) == want.shape[:2]


def test_frames_before_the_size_changes_are_used():
    found = []
    files = VideoFiles(Place(str(FILMS / "rtc.webm")))
    decoded = scan._count_frames(
        scan.Task(None, files), lambda quirk, **place: found.append((quirk, place))
    )
    assert decoded == (10, (90, 160))
    place = {"frame": 10, "size": (128, 96), "first": (90, 160)}
    assert found == [("video_size_changes", place)]
