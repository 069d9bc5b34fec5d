"""Position encodings: sine, random Fourier, axial rotary, interpolated embedding.

sam2/modeling/position_encoding.py. The sine and rotary tables depend on sizes only:
they are computed with numpy while a function is traced and become constants of the
compiled program.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

_TEMPERATURE = 10000.0


@functools.lru_cache(maxsize=16)
def sine_position_encoding(height: int, width: int, channels: int) -> np.ndarray:
    """Return the sine encoding of a grid, float32 [h, w, c]: y, then x.

    sam2/modeling/position_encoding.py:95-122, normalised to (0, 2 pi]: cell i of N is
    at (i + 1) / (N + 1e-6), sine and cosine interleaved.
    """
    half = channels // 2
    exponents = 2 * (np.arange(half) // 2) / half
    frequencies = (_TEMPERATURE**exponents).astype(np.float32)

    def encode(n: int) -> np.ndarray:  # [n, half]
        steps = np.arange(1, n + 1, dtype=np.float32)
        steps = steps / (steps[-1] + np.float32(1e-6)) * np.float32(2 * np.pi)
        angles = steps[:, None] / frequencies
        even, odd = np.sin(angles[:, 0::2]), np.cos(angles[:, 1::2])
        return np.stack([even, odd], axis=2).reshape(n, half)

    y = np.broadcast_to(encode(height)[:, None], (height, width, half))
    x = np.broadcast_to(encode(width)[None], (height, width, half))
    return np.concatenate([y, x], axis=-1).astype(np.float32)


def sine_time_encoding(time: jax.Array, channels: int) -> jax.Array:
    """Return the sine encoding [..., c] of scalars [...]: all sines, then all cosines.

    sam2/modeling/sam2_utils.py:64-74.
    """
    half = channels // 2
    exponents = 2 * (np.arange(half) // 2) / half
    angles = time[..., None] / (_TEMPERATURE**exponents).astype(np.float32)
    return jnp.concatenate([jnp.sin(angles), jnp.cos(angles)], axis=-1)


class RandomFourierEncoding(nnx.Module):
    """Encode coordinates in [0, 1] by fixed random frequencies, for prompts."""

    def __init__(self, channels: int, *, rngs: nnx.Rngs):
        matrix = jax.random.normal(rngs.params(), (2, channels // 2))
        self.positional_encoding_gaussian_matrix = nnx.Param(matrix)

    def __call__(self, coords: jax.Array) -> jax.Array:
        """Return float32 [..., c] for coordinates [..., 2] as (x, y)."""
        # A buffer in checkpoints, not a parameter: no gradient.
        matrix = jax.lax.stop_gradient(self.positional_encoding_gaussian_matrix[...])
        # No matrix product: it may round coordinates on accelerators.
        centred = 2 * coords.astype(jnp.float32) - 1
        angles = centred[..., :1] * matrix[0] + centred[..., 1:] * matrix[1]
        angles = 2 * np.pi * angles
        return jnp.concatenate([jnp.sin(angles), jnp.cos(angles)], axis=-1)

    def grid(self, height: int, width: int) -> jax.Array:
        """Return the encoding [h, w, c] of the centres of a grid's cells."""
        y = (np.arange(height, dtype=np.float32) + 0.5) / height
        x = (np.arange(width, dtype=np.float32) + 0.5) / width
        return self(jnp.stack(jnp.meshgrid(x, y), axis=-1))


@functools.lru_cache(maxsize=16)
def rotary_table(
    height: int, width: int, channels: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return cosine and sine, float32 [h * w, c / 2], of the axial rotary encoding.

    sam2/modeling/position_encoding.py:192-201: the first half of the channel pairs is
    rotated by x, the fastest index, the second half by y.
    """
    exponents = np.arange(0, channels, 4)[: channels // 4].astype(np.float32)
    frequencies = (1.0 / _TEMPERATURE ** (exponents / channels)).astype(np.float32)
    cells = np.arange(height * width)
    angles = np.concatenate(
        [
            np.outer((cells % width).astype(np.float32), frequencies),
            np.outer((cells // width).astype(np.float32), frequencies),
        ],
        axis=-1,
    )
    return np.cos(angles), np.sin(angles)


def rotate(x: jax.Array, table: tuple[np.ndarray, np.ndarray]) -> jax.Array:
    """Rotate adjacent channel pairs of x [..., s, c] by a table of [s, c / 2]."""
    cos, sin = table
    pairs = x.astype(jnp.float32).reshape(*x.shape[:-1], -1, 2)
    real, imag = pairs[..., 0], pairs[..., 1]
    rotated = jnp.stack([real * cos - imag * sin, real * sin + imag * cos], axis=-1)
    return rotated.reshape(x.shape).astype(x.dtype)


@functools.lru_cache(maxsize=16)
def bicubic_matrix(size_in: int, size_out: int) -> np.ndarray:
    """Return the matrix [size_out, size_in] of bicubic interpolation along one axis.

    As torch.nn.functional.interpolate: a = -0.75, half-pixel centres, clamped edges.
    jax.image.resize differs: a = -0.5, renormalised at the edges.
    """
    a = -0.75
    matrix = np.zeros((size_out, size_in), np.float64)
    for row in range(size_out):
        centre = (row + 0.5) * size_in / size_out - 0.5
        base = int(np.floor(centre))
        for tap in range(base - 1, base + 3):
            d = abs(centre - tap)
            if d <= 1:
                weight = ((a + 2) * d - (a + 3)) * d * d + 1
            else:
                weight = ((a * d - 5 * a) * d + 8 * a) * d - 4 * a
            matrix[row, min(max(tap, 0), size_in - 1)] += weight
    return matrix.astype(np.float32)


def interpolate_bicubic(grid: jax.Array, height: int, width: int) -> jax.Array:
    """Resize a grid [h, w, c] to [height, width, c] as torch's bicubic does."""
    rows = bicubic_matrix(grid.shape[0], height)
    columns = bicubic_matrix(grid.shape[1], width)
    return jnp.einsum("yh,xw,hwc->yxc", rows, columns, grid, precision="highest")
