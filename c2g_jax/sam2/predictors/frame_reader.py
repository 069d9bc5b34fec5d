"""Frames of a video by index, resized for the model, a few of them held."""

import collections

import numpy as np

from c2g_jax.media.images import resize_frame
from c2g_jax.media.video import Video
from c2g_jax.types import InputError

_HELD = 16  # frames around the place last read


class EndOfVideo(Exception):
    """The frame asked for lies behind the last one."""


class FrameReader:
    """Reads onwards as a stream; anywhere else by entering the video anew.

    A one-way source (an iterator, a camera) goes back only to the frames still held.
    `image_size` None leaves the frames as they are.
    """

    def __init__(self, video: Video, image_size: int | None):
        self.video, self.image_size = video, image_size
        self._stream, self._next = None, 0
        self._held: collections.OrderedDict[int, np.ndarray] = collections.OrderedDict()

    def read(self, index: int) -> np.ndarray:
        """Frame `index` as uint8 [S, S, 3] ([H, W, 3] at the video's own size).

        EndOfVideo behind the last one.
        """
        if index not in self._held:
            first = index
            if index < self._next and self.video.num_frames is not None:
                # Going back: the frames before this one are likely asked for next.
                first = max(0, index - _HELD + 1)
            for t in range(first, index + 1):
                rgb = self._advance(t)
                if self.image_size is not None:
                    rgb = resize_frame(rgb, self.image_size)
                self._held[t] = rgb
            while len(self._held) > _HELD:
                self._held.popitem(last=False)
        return self._held[index]

    def _advance(self, index: int) -> np.ndarray:
        if self._stream is None or not self._next <= index < self._next + _HELD:
            self._enter(index)
        while True:
            frame = next(self._stream, None)
            if frame is None:
                raise EndOfVideo(f"the video has {self._next} frames")
            self._next = frame.index + 1
            if frame.index == index:
                return frame.rgb

    def _enter(self, index: int) -> None:
        one_way = self.video.num_frames is None
        if one_way and self._stream is not None and index >= self._next:
            return  # onwards, however far
        if one_way and index < self._next:
            raise InputError(
                f"frame {index} of a stream is gone: the last {_HELD} frames that were"
                " read can be prompted, or give a file, a folder or a list"
            )
        self._leave()
        begin = 0 if one_way else index
        self._stream, self._next = self.video.read_from(begin), begin

    def close(self) -> None:
        """Stop decoding ahead, and hold no frame any more."""
        self._leave()
        self._held.clear()

    def _leave(self) -> None:
        if self._stream is not None:
            self._stream.close()
        self._stream = None
