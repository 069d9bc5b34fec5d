"""A tensor in a file, read when its values are needed."""

import dataclasses
import math
from pathlib import Path

import jax.numpy as jnp
import numpy as np

# By torch's names. All are little-endian in both formats.
DTYPES: dict[str, np.dtype] = {
    name: np.dtype(name)
    for name in (
        "float64", "float32", "float16", "int64", "int32", "int16", "int8",
        "uint64", "uint32", "uint16", "uint8", "bool", "complex64", "complex128",
    )
} | {
    name: np.dtype(getattr(jnp, name))
    for name in (
        "bfloat16", "float8_e4m3fn", "float8_e4m3fnuz", "float8_e5m2",
        "float8_e5m2fnuz",
    )
}  # fmt: skip


@dataclasses.dataclass(frozen=True)
class StoredTensor:
    """Place and form of a tensor in a file.

    `offset` is that of the first element in the file, in bytes; `strides` are counted
    in elements, as torch does. Whoever makes one has checked that it lies in the file.
    """

    file: Path
    dtype: str  # a name in DTYPES
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]

    @property
    def size(self) -> int:
        """Return the number of elements."""
        return math.prod(self.shape)

    def row(self, index: int) -> "StoredTensor":
        """Return x[index][None]."""
        shift = index * self.strides[0] * DTYPES[self.dtype].itemsize
        return dataclasses.replace(
            self, offset=self.offset + shift, shape=(1, *self.shape[1:])
        )

    def read(self) -> np.ndarray:
        """Return the values as float32, contiguous; EOFError if the file is shorter."""
        dtype = DTYPES[self.dtype]
        if not self.size:
            return np.zeros(self.shape, np.float32)
        count = span(self.shape, self.strides)
        with open(self.file, "rb") as file:
            file.seek(self.offset)
            flat = np.fromfile(file, dtype, count)
        if len(flat) != count:
            raise EOFError(f"{self.file} became shorter while it was read")
        # The stride of an axis of one element has no effect, and any value.
        strides = [
            step * dtype.itemsize if n > 1 else 0
            for n, step in zip(self.shape, self.strides, strict=True)
        ]
        view = np.lib.stride_tricks.as_strided(flat, self.shape, strides)
        with np.errstate(over="ignore"):  # float64 beyond float32 is found as infinite
            return np.ascontiguousarray(view, np.float32).reshape(self.shape)


def span(shape: tuple[int, ...], strides: tuple[int, ...]) -> int:
    """Return the elements from a tensor's first to its last, both included."""
    if not math.prod(shape):
        return 0
    return 1 + sum((n - 1) * step for n, step in zip(shape, strides, strict=True))


def contiguous(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Return the strides of a tensor whose elements follow each other."""
    return tuple(math.prod(shape[axis + 1 :]) for axis in range(len(shape)))
