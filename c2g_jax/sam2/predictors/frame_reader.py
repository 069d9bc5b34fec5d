"""Read frames of a video by index, resized for the model, with a small cache."""

import collections

import numpy as np

from c2g_jax.media.images import resize_frame
from c2g_jax.media.video import Video
from c2g_jax.types import InputError

HELD = 16  # cached frames


class EndOfVideo(InputError):
    """The requested frame is past the end of the video."""


class FrameReader:
    """Read frames in order as a stream; reopen the video to read elsewhere.

    A one-way source (an iterator, a camera) can go back only to cached frames: the
    last ones read, whether they were asked for or skipped. With an `image_size` of None
    frames are not resized.
    """

    def __init__(self, video: Video, image_size: int | None):
        self.video, self.image_size = video, image_size
        self.one_way = video.num_frames is None
        self._stream, self._next = None, 0
        self._held: collections.OrderedDict[int, np.ndarray] = collections.OrderedDict()

    @property
    def held(self) -> range:
        """The frames of a one-way source that can be read without reading on."""
        return range(min(self._held, default=self._next), self._next)

    def check_near(self, index: int) -> None:
        """Raise InputError for a frame of a one-way source that has not nearly come.

        Reading on to a near one loses none of the frames between.
        """
        if self.one_way and index >= self._next + HELD:
            came = f"{self._next} frames" if self._next else "none"
            raise InputError(
                f"frame {index} of the stream has not come, {came} did: track up to it "
                f"first, or use a frame below {self._next + HELD}"
            )

    def check_back(self, start: int, limit: int | None) -> None:
        """Raise InputError unless `limit` frames back from a start can be read.

        A limit of None is frame 0.
        """
        last = 0 if limit is None else max(0, start - limit)
        held = self.held
        if not self.one_way or (start in held and last in held):
            return
        mend = "give a file, a folder or a list"
        if start in held:
            mend = f"pass max_frame_num_to_track={start - held[0]}, or {mend}"
        raise InputError(
            f"a stream cannot be tracked in reverse from frame {start} to {last}: it "
            f"holds {self._shown()}; {mend}"
        )

    def read(self, index: int) -> np.ndarray:
        """Return frame `index` as uint8 [S, S, 3], or [H, W, 3] if not resized.

        Raises EndOfVideo past the last frame, InputError if the frame is gone.
        """
        if index not in self._held:
            first = index
            if self.one_way and index < self._next:
                raise InputError(
                    f"frame {index} of a stream is gone, it holds {self._shown()}: use "
                    "these, or give a file, a folder or a list"
                )
            if self.one_way:
                first = self._next  # those that are skipped may be asked for
            elif index < self._next:
                # Going back: the frames before this one are likely to be read next.
                first = max(0, index - HELD + 1)
            if not self._read_on(first, index):
                raise EndOfVideo(
                    f"frame {index} is not in the video, which has {self._next} "
                    f"frames: use 0 to {self._next - 1}"
                )
        return self._held[index]

    def _read_on(self, first: int, last: int) -> bool:
        """Read and hold frames; return False if the video ends before the last."""
        passed: collections.deque[tuple[int, np.ndarray]]
        passed = collections.deque(maxlen=HELD)
        try:
            for t in range(first, last + 1):
                rgb = self._advance(t)
                if rgb is None:
                    return False
                passed.append((t, rgb))
        finally:
            for t, rgb in passed:
                if self.image_size is not None:
                    rgb = resize_frame(rgb, self.image_size)
                self._held[t] = rgb
                while len(self._held) > HELD:
                    self._held.popitem(last=False)
        return True

    def _advance(self, index: int) -> np.ndarray | None:
        """Return a frame as it is, None past the end."""
        near = self._next <= index < self._next + HELD
        if self._stream is None or not (near or self.one_way):
            self._open_at(index)
        while True:
            try:
                frame = next(self._stream, None)
            except InputError:
                if not self.one_way:
                    self._close_stream()  # reading again says the same again
                raise
            if frame is None:
                return None
            self._next = frame.index + 1
            if frame.index == index:
                return frame.rgb

    def _open_at(self, index: int) -> None:
        self._close_stream()
        begin = 0 if self.one_way else index
        self._stream, self._next = self.video.read_from(begin), begin

    def _shown(self) -> str:
        held = self.held
        return f"{held[0]} to {held[-1]}" if held else "no frame"

    def close(self) -> None:
        """Stop decoding and clear the cache."""
        self._close_stream()
        self._held.clear()

    def _close_stream(self) -> None:
        if self._stream is not None:
            self._stream.close()
        self._stream = None
