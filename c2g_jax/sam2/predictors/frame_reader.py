"""Read frames of a video by index, resized for the model, with a small cache."""

import collections

import numpy as np

from c2g_jax.media.images import resize_frame
from c2g_jax.media.video import Video
from c2g_jax.types import InputError

HELD = 16  # cached frames


class EndOfVideo(Exception):
    """The requested frame is past the end of the video."""


class FrameReader:
    """Read frames in order as a stream; reopen the video to read elsewhere.

    A one-way source (an iterator, a camera) can go back only to cached frames. With an
    `image_size` of None frames are not resized.
    """

    def __init__(self, video: Video, image_size: int | None):
        self.video, self.image_size = video, image_size
        self._stream, self._next = None, 0
        self._held: collections.OrderedDict[int, np.ndarray] = collections.OrderedDict()

    def read(self, index: int) -> np.ndarray:
        """Return frame `index` as uint8 [S, S, 3], or [H, W, 3] if not resized.

        Raises EndOfVideo past the last frame.
        """
        if index not in self._held:
            first = index
            if index < self._next and self.video.num_frames is not None:
                # Going back: the frames before this one are likely to be read next.
                first = max(0, index - HELD + 1)
            for t in range(first, index + 1):
                rgb = self._advance(t)
                if self.image_size is not None:
                    rgb = resize_frame(rgb, self.image_size)
                self._held[t] = rgb
            while len(self._held) > HELD:
                self._held.popitem(last=False)
        return self._held[index]

    def _advance(self, index: int) -> np.ndarray:
        if self._stream is None or not self._next <= index < self._next + HELD:
            self._open_at(index)
        while True:
            frame = next(self._stream, None)
            if frame is None:
                raise EndOfVideo(f"the video has {self._next} frames")
            self._next = frame.index + 1
            if frame.index == index:
                return frame.rgb

    def _open_at(self, index: int) -> None:
        one_way = self.video.num_frames is None
        if one_way and self._stream is not None and index >= self._next:
            return  # skip ahead, however far
        if one_way and index < self._next:
            raise InputError(
                f"frame {index} of a stream is gone: prompt one of the last {HELD}"
                " frames read, or give a file, a folder or a list"
            )
        self._close_stream()
        begin = 0 if one_way else index
        self._stream, self._next = self.video.read_from(begin), begin

    def close(self) -> None:
        """Stop decoding and clear the cache."""
        self._close_stream()
        self._held.clear()

    def _close_stream(self) -> None:
        if self._stream is not None:
            self._stream.close()
        self._stream = None
