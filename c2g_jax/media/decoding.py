"""Decoding of video files: their film track, its table of frames, and these frames.

A table of frames comes from the packets where container and codec give one time stamp
for each frame (`_INDEXED`, `_ONE_TO_ONE`), else from decoding the film once.
"""

import itertools
import os
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from c2g_jax.media import images
from c2g_jax.media.display import to_rgb
from c2g_jax.types import Frame, InputError

# Containers that store the time stamp of every frame, by FFmpeg's names.
_INDEXED = {"mov,mp4,m4a,3gp,3g2,mj2", "matroska,webm"}
# Codecs with one frame in every packet. Others have packets that show nothing, as VP8's
# alternate references, or several frames in one, as MPEG-4's packed B-frames.
_ONE_TO_ONE = {"h264", "hevc", "av1", "vp9", "mjpeg", "prores", "png", "ffv1", "dnxhd"}
_PROBED = 12  # frames decoded to check a table made from packets
_STILL = ("attached_pic", "timed_thumbnails", "still_image")  # not a film
_CLOCK_JUMPS = 0x0200  # FFmpeg's AVFMT_TS_DISCONT: the clock of a file may start again
_LONGEST_STEP = 10.0  # seconds; a longer step is such a start, as FFmpeg takes it
# The first box of an mp4 or mov is one of these.
_BOXES = (b"ftyp", b"moov", b"mdat", b"free", b"skip", b"wide")
_FFMPEG_ERRORS = (av.error.FFmpegError, OSError)


@dataclass(frozen=True)
class FrameTable:
    """The frames of a file, in the order in which they are shown.

    times: float64 [n], seconds from the first frame. stamps: their pts, ascending; None
    if the file has no usable ones. digests: checksums of decoded frames, None if the
    table was made from packets. entries: (position, dts) of the frames to seek to.
    """

    times: np.ndarray
    stamps: np.ndarray | None
    digests: tuple[int, ...] | None
    entries: tuple[tuple[int, int], ...]

    def position(self, picture: av.VideoFrame) -> int:
        """Return the position of the last frame up to a picture's pts, -1 if none."""
        if picture.pts is None:
            return -1
        return int(np.searchsorted(self.stamps, picture.pts, side="right")) - 1

    def has_at(self, position: int, picture: av.VideoFrame) -> bool:
        """Return whether a picture is the frame at a position, by pts and content."""
        if not 0 <= position < len(self.times):
            return False
        same = picture.pts == self.stamps[position]
        if same and self.digests is not None:
            same = _digest(picture) == self.digests[position]
        return bool(same)


def film_track(path: str | Path, container) -> av.VideoStream:
    """Return the best video track that is no cover picture; InputError if none."""
    tracks = [
        track
        for track in container.streams.video
        if not any(track.disposition & av.stream.Disposition[n] for n in _STILL)
    ]
    if not tracks:
        raise InputError(f"{path}: has no video track: give a video or images")
    tracks = [track for track in tracks if track.codec_context is not None]
    if not tracks:
        if missing := cut_short(path):
            raise InputError(f"{path}: cut short, {missing}: copy or export it again")
        raise InputError(f"{path}: its codec is unknown: export it again as H.264")
    # A cover is sometimes an ordinary track of one frame.
    tracks = [track for track in tracks if track.frames != 1] or tracks
    best = container.streams.best("video")
    for track in tracks:
        if track.index == best.index:
            return track
    default = av.stream.Disposition.default
    return max(
        tracks,
        key=lambda track: (bool(track.disposition & default), track.width),
    )


def cut_short(path: str | Path) -> str | None:
    """Say what an mp4 or mov lacks at its end; None if nothing, or for other files.

    Such files are boxes: a length, four letters, the content (ISO/IEC 14496-12, 4.2).
    Without the box moov nothing is known of the tracks.
    """
    place, kinds = 0, []
    try:
        with open(path, "rb") as file:
            size = file.seek(0, os.SEEK_END)
            while place + 8 <= size:
                file.seek(place)
                head = file.read(16)
                length = int.from_bytes(head[:4])
                kinds.append(head[4:8])
                if kinds[0] not in _BOXES:
                    return None
                if length == 1:  # the length follows, in 8 bytes
                    length = int.from_bytes(head[8:16])
                elif length == 0:  # up to the end
                    length = size - place
                if length < 8:
                    return None
                place += length
    except OSError:
        return None
    if place > size:
        return f"{size:,} of at least {place:,} bytes are there"
    return None if not kinds or b"moov" in kinds else "its index (moov) is missing"


def read_table(path: Path) -> FrameTable:
    """Return the table of a file's frames; InputError if it is no readable video."""
    packets, entries = [], []  # (pts, dts) each
    try:
        with av.open(str(path)) as container:
            stream = film_track(path, container)
            base = stream.time_base
            rate = stream.guessed_rate or stream.average_rate or Fraction(25)
            codec = stream.codec_context.codec.canonical_name
            jumps = bool(container.format.flags & _CLOCK_JUMPS)
            indexed = container.format.name in _INDEXED and codec in _ONE_TO_ONE
            for packet in container.demux(stream):
                if not packet.size:
                    continue
                # The first shown frame of an edited file may need a key frame that is
                # itself not shown.
                if packet.is_keyframe:
                    entries.append((packet.pts, packet.dts))
                # Frames before the first key frame cannot be decoded.
                if entries and not packet.is_discard:
                    packets.append((packet.pts, packet.dts))
        stamps = [pts for pts, _ in packets]
        stamps = None if None in stamps or not indexed else _shown(stamps, entries)
        digests = None
        if stamps is None or not _confirmed(path, stamps):
            stamps, digests = _count(path)
    except _FFMPEG_ERRORS:
        missing = cut_short(path)
        found = f"cut short: {missing}" if missing else "cut short"
        raise InputError(
            f"{path}: not a readable video, or {found}: record or export it again"
        ) from None
    if not stamps:
        raise InputError(f"{path}: the video has no frames: record or export it again")
    limit = _LONGEST_STEP / float(base) if jumps else np.inf
    ticks = _ticks(stamps, [dts for _, dts in packets], 1 / (rate * base), limit)
    times = np.round(ticks * float(base), 6)
    if None in stamps or (np.diff(stamps) <= 0).any():
        return FrameTable(times, None, digests, ())
    stamps = np.array(stamps, np.int64)
    starts = [
        (int(np.searchsorted(stamps, pts)), dts)
        for pts, dts in entries
        if pts is not None and dts is not None
    ]
    return FrameTable(times, stamps, digests, tuple(starts))


def _shown(stamps: list[int], entries: list[tuple]) -> list[int] | None:
    """Return the pts of the frames that can be shown, ascending; None if not unique."""
    first = entries[0][0] if entries else None
    if first is None or len(set(stamps)) < len(stamps):
        return None
    return sorted(pts for pts in stamps if pts >= first)


def _confirmed(path: Path, stamps: Sequence[int]) -> bool:
    """Return whether the first decoded frames are those of a table from packets."""
    with av.open(str(path)) as container:
        pictures = _pictures(container, film_track(path, container))
        found = [picture.pts for picture in itertools.islice(pictures, _PROBED)]
    return found == list(stamps[: len(found)])


def _count(path: Path) -> tuple[list[int | None], tuple[int, ...]]:
    """Decode a film; return the pts of its frames as shown, and their digests."""
    stamps, digests = [], []
    with av.open(str(path)) as container:
        for picture in _pictures(container, film_track(path, container)):
            stamps.append(picture.pts)
            digests.append(_digest(picture))
    return stamps, tuple(digests)


def _digest(picture: av.VideoFrame) -> int:
    # Rows of some widths are padded: then the array is a view with gaps.
    return zlib.crc32(np.ascontiguousarray(picture.to_ndarray(format="gray")))


def _ticks(
    stamps: Sequence[int | None], dts: Sequence[int | None], step: float, limit: float
) -> np.ndarray:
    """Return float64 [n], ascending: when frames are shown, from 0, in units of a pts.

    stamps: their pts in the order shown. dts: of the packets, in the file's order.
    step: from frame to frame, nominally; limit: the longest credible one.
    """
    count = len(stamps)
    known = np.array([np.nan if pts is None else pts for pts in stamps], float)
    steps = np.diff(known)
    credible = (steps > 0) & (steps <= limit)  # False for nan
    if count > 1 and credible.all():
        return known - known[0]
    known_dts = np.isinf(limit) and len(dts) == count and None not in dts
    if known_dts and len(set(dts)) == count:
        # AVI stores no pts, but the times at which frames follow each other.
        return np.array(sorted(dts), float) - min(dts)
    if credible.sum() < 0.9 * len(steps) or count == 1:
        return np.arange(count) * float(step)
    # Recordings that follow each other in one file: each starts its clock again.
    steps = np.where(credible, steps, np.median(steps[credible]))
    return np.concatenate([[0.0], np.cumsum(steps)])


def decode_frames(
    path: Path,
    table: FrameTable,
    chosen: np.ndarray,
    first: int = 0,
    size: tuple[int, int] | None = None,
) -> Iterator[Frame]:
    """Yield the chosen frames from index `first` on.

    A frame that cannot be decoded is replaced by a later one before the next chosen
    frame. InputError if there is none, or at a frame whose (width, height) is not
    `size`.
    """
    positions, given = chosen.tolist(), first
    if first >= len(positions):
        return
    try:
        for position, picture, ratio in _positioned(path, table, positions[first]):
            if position < positions[given]:
                continue
            if given + 1 < len(positions) and position >= positions[given + 1]:
                break
            rgb = to_rgb(picture, ratio)
            place = f"{path}: the frame at {table.times[position]:.2f} s"
            mend = _mend(table.times[chosen], given)
            if size is not None and rgb.shape[1::-1] != size:
                raise images.size_error(place, rgb.shape[1::-1], size, mend)
            yield Frame(given, float(table.times[position]), rgb)
            given += 1
            if given == len(positions):
                return
    except av.error.FFmpegError as error:
        raise InputError(
            f"{path}: can no longer be read ({error.strerror}): restore the video"
        ) from None
    time = table.times[positions[given]]
    raise InputError(
        f"{path}: damaged: the frame at {time:.2f} s cannot be decoded: "
        f"{_mend(table.times[chosen], given)}"
    )


def _mend(times: np.ndarray, given: int) -> str:
    """Return the remedy for a bad frame, of which `given` lie before."""
    mend = "record or export it again"
    return mend if not given else f"use --end={times[given - 1]:.3f} or {mend}"


def _positioned(
    path: Path, table: FrameTable, target: int
) -> Iterator[tuple[int, av.VideoFrame, Fraction | None]]:
    """Yield (position, picture, shape of its pixels), from `target` or earlier on.

    A seek may land anywhere, and give frames other time stamps: it counts only if the
    frames from there to the target are those of the table. Otherwise the search begins
    earlier, at last at the start of the file.
    """
    starts = [dts for position, dts in table.entries if position <= target]
    back = 1
    while len(starts) > 1:  # the first one is the start of the file
        with av.open(str(path)) as container:
            stream = film_track(path, container)
            container.seek(starts[-1], stream=stream)
            pictures = _pictures(container, stream)
            found = _find(pictures, table, target)
            if found is not None:
                ratio = stream.sample_aspect_ratio
                yield target, found, ratio
                for position, picture in _located(pictures, table, target + 1):
                    yield position, picture, ratio
                return
        del starts[-back:]
        back *= 2
    with av.open(str(path)) as container:
        stream = film_track(path, container)
        ratio = stream.sample_aspect_ratio
        for position, picture in _located(_pictures(container, stream), table, 0):
            yield position, picture, ratio


def _find(
    pictures: Iterator[av.VideoFrame], table: FrameTable, target: int
) -> av.VideoFrame | None:
    """Return the picture at `target`, None if another frame comes before it."""
    for count, picture in enumerate(pictures):
        if not count:
            first = table.position(picture)
        if not first + count <= target or not table.has_at(first + count, picture):
            return None
        if first + count == target:
            return picture
    return None


def _located(
    pictures: Iterator[av.VideoFrame], table: FrameTable, begin: int
) -> Iterator[tuple[int, av.VideoFrame]]:
    """Yield (position, picture), the first of them at `begin` if the film is whole."""
    if table.digests is not None:  # decoded before, so that every frame counts
        last = len(table.times) - 1
        yield from zip(range(begin, last + 1), pictures, strict=False)
    else:
        for picture in pictures:
            yield table.position(picture), picture


def _pictures(container, stream) -> Iterator[av.VideoFrame]:
    stream.thread_type = "AUTO"
    for packet in container.demux(stream):
        if not packet.size and packet.dts is not None:
            continue  # a frame left out: an empty packet would end the decoding
        try:
            yield from packet.decode()
        except av.error.InvalidDataError:
            continue  # a damaged packet; the frames around it may be intact
