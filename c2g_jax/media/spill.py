"""Arrays set aside in a temporary file, for results that outgrow memory."""

import os
import tempfile
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from c2g_jax.types import InputError


class Place(NamedTuple):
    """Where arrays lie in a `SpillFile`, and what they are."""

    offset: int
    shapes: tuple[tuple[int, ...], ...]
    dtypes: tuple[np.dtype, ...]

    @property
    def nbytes(self) -> int:
        """The bytes that the arrays take."""
        return sum(map(_nbytes, self.shapes, self.dtypes))


class SpillFile:
    """Tuples of arrays in one temporary file; places that are given back are reused.

    The file lies in the system's folder for temporary files (TMPDIR), is made by the
    first `write`, and has no name there, so that it is gone when the process ends,
    however it ends.
    """

    def __init__(self, what: str):
        """`what` names the arrays in the message of a full disk."""
        self._what = what
        self._file = None
        self._end = 0
        self._free: dict[int, list[int]] = {}  # offsets of free places, by bytes

    @property
    def nbytes(self) -> int:
        """The size of the file."""
        return self._end

    def write(self, arrays: Sequence[np.ndarray]) -> Place:
        """Store arrays; InputError if there is no room for them."""
        place = Place(0, tuple(x.shape for x in arrays), tuple(x.dtype for x in arrays))
        data = b"".join(np.ascontiguousarray(x).tobytes() for x in arrays)
        if self._file is None:
            self._file = tempfile.TemporaryFile(prefix="c2g-spill-")  # noqa: SIM115
        free = self._free.get(len(data))
        offset = free.pop() if free else self._end
        try:
            _write_all(self._file.fileno(), data, offset)
        except OSError as error:
            if offset < self._end:
                self._free[len(data)].append(offset)
            raise InputError(
                f"{tempfile.gettempdir()}: {self._what} cannot be written there "
                f"({error.strerror}): make room, or set TMPDIR to another folder"
            ) from error
        self._end = max(self._end, offset + len(data))
        return place._replace(offset=offset)

    def read(self, place: Place) -> tuple[np.ndarray, ...]:
        """Return the arrays of a place, as they were written."""
        offset, arrays = place.offset, []
        for shape, dtype in zip(place.shapes, place.dtypes, strict=True):
            count = _nbytes(shape, dtype)
            data = os.pread(self._file.fileno(), count, offset)
            arrays.append(np.frombuffer(data, dtype).reshape(shape))
            offset += count
        return tuple(arrays)

    def free(self, place: Place) -> None:
        """Give a place back."""
        self._free.setdefault(place.nbytes, []).append(place.offset)

    def close(self) -> None:
        """Delete the file, and all places with it."""
        if self._file is not None:
            self._file.close()
        self._file, self._end = None, 0
        self._free.clear()


def _nbytes(shape: tuple[int, ...], dtype: np.dtype) -> int:
    return int(np.prod(shape)) * dtype.itemsize


def _write_all(descriptor: int, data: bytes, offset: int) -> None:
    view = memoryview(data)
    while view:
        written = os.pwrite(descriptor, view, offset)
        view, offset = view[written:], offset + written
