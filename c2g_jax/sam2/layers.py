"""Basic layers of SAM2.1, with torch's numerics (sam2/modeling/sam2_utils.py)."""

import itertools
import types
from collections.abc import Callable, Sequence
from typing import TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

Module = TypeVar("Module")

TORCH_EPS = 1e-5  # default of torch.nn.LayerNorm; Hiera and LayerNorm2d use 1e-6


@jax.custom_vjp
def gelu(x: jax.Array) -> jax.Array:
    """GELU, exact as torch's default, in one pass over memory; in float32 within.

    By erf, as torch: `jax.nn.gelu` is made of erfc, which XLA expands to four times the
    operations. Its derivative in one expression: XLA runs JAX's own in several passes
    on a CPU, which made the gradient of an MLP twice as slow.
    """
    wide = x.astype(jnp.float32)
    return (wide * _below(wide)).astype(x.dtype)


def _below(x: jax.Array) -> jax.Array:
    """The probability of a normal variable to be below x."""
    return 0.5 + 0.5 * jax.lax.erf(x * np.sqrt(0.5).astype(np.float32))


def _gelu_backward(x, gradient):
    wide = x.astype(jnp.float32)
    density = np.sqrt(0.5 / np.pi).astype(np.float32) * jnp.exp(-0.5 * wide * wide)
    slope = (_below(wide) + wide * density).astype(x.dtype)
    return (gradient * slope,)


gelu.defvjp(lambda x: (gelu(x), x), _gelu_backward)


def abstract(build: Callable[[nnx.Rngs], Module]) -> Module:
    """Return what `build(rngs)` returns, with abstract parameters: shapes and dtypes.

    All parameters share one key. `nnx.Rngs` counts its keys in a variable; inside a
    trace each count takes time in proportion to the trace so far: 13 s for Large.
    """
    key = jax.random.key(0)
    rngs = types.SimpleNamespace(params=lambda: key)
    return nnx.eval_shape(lambda: build(rngs))


def layer_norm(
    channels: int, dtype: jnp.dtype, rngs: nnx.Rngs, eps: float = 1e-6
) -> nnx.LayerNorm:
    """Layer norm over the last axis; statistics in float32, by the two-pass formula."""
    return nnx.LayerNorm(
        channels, epsilon=eps, use_fast_variance=False, dtype=dtype, rngs=rngs
    )


def conv(
    inputs: int,
    outputs: int,
    kernel: int,
    dtype: jnp.dtype,
    rngs: nnx.Rngs,
    stride: int = 1,
    padding: int = 0,
    fused: bool = False,
) -> nnx.Conv:
    """Square convolution with symmetric padding; "SAME" is asymmetric with strides."""
    kind = PointwiseConv if fused and kernel == 1 else nnx.Conv
    return kind(
        inputs,
        outputs,
        (kernel, kernel),
        strides=stride,
        padding=((padding, padding), (padding, padding)),
        dtype=dtype,
        rngs=rngs,
    )


class PointwiseConv(nnx.Conv):
    """1x1 convolution as a matrix product.

    XLA gives convolutions to a library on a GPU, and transposes their kernels for it.
    """

    def __call__(self, x: jax.Array) -> jax.Array:
        kernel, bias = (y[...].astype(self.dtype) for y in (self.kernel, self.bias))
        return x.astype(self.dtype) @ kernel[0, 0] + bias


@jax.custom_vjp
def _product(x: jax.Array, kernel: jax.Array) -> jax.Array:
    """Product of x [..., i] and kernel [i, o]."""
    return x @ kernel


def _product_forward(x, kernel):
    return _product(x, kernel), (x, kernel)


def _product_backward(saved, gradient):
    x, kernel = saved
    flat = gradient.reshape(-1, gradient.shape[-1])
    by_kernel = x.reshape(-1, x.shape[-1]).T @ flat
    return gradient @ kernel.T, by_kernel


_product.defvjp(_product_forward, _product_backward)


def _dot_general(x, kernel, dimension_numbers, precision=None, out_sharding=None):
    del dimension_numbers, precision, out_sharding  # always those of a linear layer
    return _product(x, kernel)


class Linear(nnx.Linear):
    """Linear layer whose kernel has its gradient from one product over all tokens.

    JAX's own derivative contracts all leading axes of [b, h, w, c] at once, which XLA
    runs three times slower on a CPU.
    """

    def __init__(self, inputs: int, outputs: int, dtype: jnp.dtype, rngs: nnx.Rngs):
        super().__init__(
            inputs, outputs, dtype=dtype, dot_general=_dot_general, rngs=rngs
        )


class Mlp(nnx.Module):
    """Linear layers with an activation in between."""

    def __init__(
        self,
        sizes: Sequence[int],
        dtype: jnp.dtype,
        rngs: nnx.Rngs,
        activation: Callable[[jax.Array], jax.Array] = jax.nn.relu,
    ):
        self.activation = activation
        self.layers = nnx.List(
            Linear(n, m, dtype, rngs) for n, m in itertools.pairwise(sizes)
        )

    def __call__(self, x: jax.Array) -> jax.Array:
        """Map [..., sizes[0]] to [..., sizes[-1]]."""
        for layer in list(self.layers)[:-1]:
            x = self.activation(layer(x))
        return self.layers[-1](x)


@jax.custom_vjp
def shifted_depthwise(x: jax.Array, kernel: jax.Array) -> jax.Array:
    """Depthwise convolution of x [b, h, w, c] with [k, k, 1, c] as k*k shifted sums.

    Equal to the convolution with padding k // 2. On a CPU, XLA's own depthwise
    convolution is tens of times slower, forward and backward.
    """
    size, padded = kernel.shape[0], _pad_sides(x, kernel)
    total = jnp.zeros_like(x)
    for row, column in itertools.product(range(size), repeat=2):
        window = padded[:, row : row + x.shape[1], column : column + x.shape[2]]
        total = total + window * kernel[row, column, 0]
    return total


def _shifted_forward(x, kernel):
    return shifted_depthwise(x, kernel), (x, kernel)


def _shifted_backward(saved, gradient):
    """Compute the gradient of the kernel image by image, so that it stays in cache.

    JAX's own derivative reads all images k*k times: eight times slower.
    """
    x, kernel = saved
    size, (h, w) = kernel.shape[0], x.shape[1:3]

    def add(total, image):
        padded, image_gradient = image
        products = [
            jnp.sum(
                padded[row : row + h, column : column + w] * image_gradient, axis=(0, 1)
            )
            for row, column in itertools.product(range(size), repeat=2)
        ]
        return total + jnp.stack(products), None

    zero = jnp.zeros((size * size, x.shape[-1]), x.dtype)
    total, _ = jax.lax.scan(add, zero, (_pad_sides(x, kernel), gradient))
    return (
        shifted_depthwise(gradient, kernel[::-1, ::-1]),
        total.reshape(kernel.shape).astype(kernel.dtype),
    )


shifted_depthwise.defvjp(_shifted_forward, _shifted_backward)


def _pad_sides(x: jax.Array, kernel: jax.Array) -> jax.Array:
    pad = kernel.shape[0] // 2
    return jnp.pad(x, ((0, 0), (pad, pad), (pad, pad), (0, 0)))


def grouped_depthwise(x: jax.Array, kernel: jax.Array) -> jax.Array:
    """Depthwise convolution by XLA's grouped convolution, fast on accelerators."""
    pad = kernel.shape[0] // 2
    return jax.lax.conv_general_dilated(
        x,
        kernel,
        window_strides=(1, 1),
        padding=((pad, pad), (pad, pad)),
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
        feature_group_count=x.shape[-1],
    )


class DepthwiseConv(nnx.Module):
    """Depthwise convolution, padded to keep the size."""

    def __init__(
        self,
        channels: int,
        size: int,
        dtype: jnp.dtype,
        rngs: nnx.Rngs,
        fused: bool = False,
    ):
        self.dtype, self.fused = dtype, fused
        scale = size**-1.0
        kernel = scale * jax.random.normal(rngs.params(), (size, size, 1, channels))
        self.kernel = nnx.Param(kernel)
        self.bias = nnx.Param(jnp.zeros(channels))

    def __call__(self, x: jax.Array) -> jax.Array:
        """Map [b, h, w, c] to [b, h, w, c]."""
        x, kernel = x.astype(self.dtype), self.kernel[...].astype(self.dtype)
        if self.fused:
            y = grouped_depthwise(x, kernel)
        else:
            y = jax.lax.platform_dependent(
                x, kernel, cpu=shifted_depthwise, default=grouped_depthwise
            )
        return y + self.bias[...].astype(self.dtype)


class TransposedConv2x2(nnx.Module):
    """Transposed 2x2 convolution with stride 2: each cell becomes a 2x2 block.

    Blocks do not overlap, so it is one matrix product and a reshape.
    """

    def __init__(self, inputs: int, outputs: int, dtype: jnp.dtype, rngs: nnx.Rngs):
        self.dtype = dtype
        scale = inputs**-0.5
        kernel = scale * jax.random.normal(rngs.params(), (2, 2, inputs, outputs))
        self.kernel = nnx.Param(kernel)
        self.bias = nnx.Param(jnp.zeros(outputs))

    def __call__(self, x: jax.Array) -> jax.Array:
        """Map [b, h, w, inputs] to [b, 2h, 2w, outputs]."""
        b, h, w, _ = x.shape
        kernel = self.kernel[...].astype(self.dtype)
        y = jnp.einsum("bhwi,klio->bhkwlo", x.astype(self.dtype), kernel)
        return y.reshape(b, 2 * h, 2 * w, -1) + self.bias[...].astype(self.dtype)
