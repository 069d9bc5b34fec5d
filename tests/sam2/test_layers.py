"""Layers against plain reference computations."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from c2g_jax.sam2 import attention, memory_attention
from c2g_jax.sam2.attention import _attend, attend
from c2g_jax.sam2.config import sam2_config
from c2g_jax.sam2.hiera import join_windows, max_pool_2x2, partition_windows
from c2g_jax.sam2.layers import (
    Linear,
    TransposedConv2x2,
    gelu,
    grouped_depthwise,
    shifted_depthwise,
)
from c2g_jax.sam2.memory_attention import MemoryAttention, RotaryAttention
from c2g_jax.sam2.position import (
    bicubic_matrix,
    rotary_table,
    rotate,
    sine_position_encoding,
)


def normal(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def test_shifted_depthwise_equals_the_grouped_convolution():
    x, kernel = normal(2, 9, 7, 5), normal(7, 7, 1, 5, seed=1)
    expected = grouped_depthwise(x, kernel)
    np.testing.assert_allclose(
        shifted_depthwise(x, kernel),
        expected,
        atol=2e-5,  # 49 terms of order 1, summed in another order
    )


def test_shifted_depthwise_has_the_gradients_of_the_grouped_convolution():
    x, kernel, weight = (
        normal(1, 8, 8, 3),
        normal(7, 7, 1, 3, seed=1),
        normal(1, 8, 8, 3),
    )

    def loss(f, x, kernel):
        return jnp.sum(f(x, kernel) * weight)

    got = jax.grad(lambda *a: loss(shifted_depthwise, *a), (0, 1))(x, kernel)
    want = jax.grad(lambda *a: loss(grouped_depthwise, *a), (0, 1))(x, kernel)
    for ours, plain in zip(got, want, strict=True):
        np.testing.assert_allclose(ours, plain, atol=5e-5)


def test_gelu_is_exact_and_so_is_its_gradient():
    x = np.linspace(-9, 9, 1001, dtype=np.float32)
    exact = functools.partial(jax.nn.gelu, approximate=False)
    # 1 + erf loses the tail below -4, of which 1e-5 is left.
    np.testing.assert_allclose(gelu(x), exact(x), atol=1e-6)
    got, want = (jax.grad(lambda x, f=f: jnp.sum(f(x)))(x) for f in (gelu, exact))
    np.testing.assert_allclose(got, want, atol=5e-7)
    half = jnp.asarray(x, jnp.bfloat16)
    wide = np.asarray(gelu(half.astype(jnp.float32)))
    # One rounding to 8 bits.
    np.testing.assert_allclose(
        np.asarray(gelu(half), np.float32), wide, rtol=2**-8, atol=1e-6
    )


def test_a_linear_layer_has_the_gradients_of_the_plain_product():
    graph, state = nnx.split(Linear(3, 4, jnp.float32, nnx.Rngs(0)))
    x, weight = normal(2, 5, 6, 3), normal(2, 5, 6, 4, seed=1)
    kernel, bias = normal(3, 4, seed=2), normal(4, seed=3)

    def ours(x, kernel, bias):
        nnx.replace_by_pure_dict(state, {"kernel": kernel, "bias": bias})
        return jnp.sum(nnx.merge(graph, state)(x) * weight)

    def plain(x, kernel, bias):
        return jnp.sum((jnp.einsum("bhwi,io->bhwo", x, kernel) + bias) * weight)

    for f in (
        lambda f: f,
        jax.grad,
        lambda f: jax.grad(f, 1),
        lambda f: jax.grad(f, 2),
    ):
        np.testing.assert_allclose(
            f(ours)(x, kernel, bias), f(plain)(x, kernel, bias), rtol=1e-5, atol=1e-5
        )


def test_attention_has_the_gradients_of_the_plain_softmax():
    q, k, v = (normal(2, 3, 5, 4, seed=s) for s in range(3))
    valid = np.array([[True, True, False, True, True], [True] * 5])
    weight = normal(2, 3, 5, 4, seed=3)

    def plain(q, k, v):
        scores = jnp.einsum("bhsd,bhtd->bhst", q, k) / 2
        scores = jnp.where(valid[:, None, None], scores, -jnp.inf)
        return jnp.sum(jax.nn.softmax(scores) @ v * weight)

    def ours(q, k, v):
        return jnp.sum(attend(q, k, v, valid) * weight)

    got, want = (jax.grad(f, (0, 1, 2))(q, k, v) for f in (ours, plain))
    for mine, theirs in zip(got, want, strict=True):
        np.testing.assert_allclose(mine, theirs, atol=1e-5)


def test_transposed_convolution_writes_one_block_a_cell():
    layer = TransposedConv2x2(3, 2, jnp.float32, nnx.Rngs(0))
    layer.bias = nnx.Param(jnp.array([0.5, -0.5]))
    x, kernel = normal(1, 2, 3, 3), np.asarray(layer.kernel[...])
    out = np.asarray(layer(x))
    assert out.shape == (1, 4, 6, 2)
    for row in range(4):
        for column in range(6):
            cell = x[0, row // 2, column // 2]
            expected = cell @ kernel[row % 2, column % 2] + [0.5, -0.5]
            np.testing.assert_allclose(out[0, row, column], expected, atol=1e-6)


@pytest.mark.parametrize("window", [2, 3, 4])
def test_windows_join_to_what_was_cut(window):
    x = normal(2, 6, 5, 4)
    windows = partition_windows(x, window)
    assert windows.shape[1:] == (window, window, 4)
    np.testing.assert_array_equal(join_windows(windows, window, 6, 5), x)


def test_max_pool_drops_an_odd_edge():
    x = np.arange(15, dtype=np.float32).reshape(1, 3, 5, 1)
    np.testing.assert_array_equal(max_pool_2x2(x)[0, ..., 0], [[6, 8]])


def test_masked_attention_ignores_what_does_not_exist():
    q, k, v = normal(1, 2, 4, 8), normal(1, 2, 6, 8, seed=1), normal(1, 2, 6, 8, seed=2)
    valid = np.array([[True, False, True, True, False, False]])
    kept = [0, 2, 3]
    np.testing.assert_allclose(
        attend(q, k, v, valid), attend(q, k[:, :, kept], v[:, :, kept]), atol=1e-6
    )
    loud = v.copy()
    loud[:, :, [1, 4, 5]] = 1e30
    np.testing.assert_array_equal(
        attend(q, k, v, valid), np.nan_to_num(attend(q, k, loud, valid))
    )


def test_attention_without_any_key_is_finite():
    q = normal(1, 1, 3, 4)
    out = attend(q, q, q, np.zeros((1, 3), bool))
    assert np.isfinite(out).all()


@pytest.mark.parametrize(("queries", "keys"), [(20, 37), (3, 30), (30, 3), (64, 64)])
def test_long_attention_in_blocks_equals_the_whole(queries, keys, monkeypatch):
    q, k = 3 * normal(2, 2, queries, 4), 3 * normal(2, 2, keys, 4, seed=1)
    v = normal(2, 2, keys, 5, seed=2)
    valid = np.arange(keys) % 3 != np.array([[0], [1]])
    whole = attend(q, k, v, valid)
    monkeypatch.setattr(attention, "_BLOCK", 8)
    assert "scan" in str(jax.make_jaxpr(attend)(q, k, v, valid))
    # Scores are of order 10 and rounded to 1e-6.
    np.testing.assert_allclose(attend(q, k, v, valid), whole, atol=5e-6)
    np.testing.assert_allclose(attend(q, k, v), _attend(q, k, v, None), atol=5e-6)
    loud = [
        np.where(valid[:, None, :, None], x, 1e3).astype(np.float32) for x in (k, v)
    ]
    np.testing.assert_allclose(attend(q, *loud, valid), whole, atol=5e-6)
    # As an accelerator does it: all heads together.
    first = (q[:, 0], k[:, 0], v[:, 0], valid)
    together = jax.vmap(attention._attend_in_blocks)(first)
    np.testing.assert_allclose(together, whole[:, 0], atol=5e-6)


def test_attention_in_blocks_has_the_gradients_of_the_whole(monkeypatch):
    given = 3 * normal(1, 2, 20, 4), 3 * normal(1, 2, 37, 4), normal(1, 2, 37, 5)
    valid = np.arange(37)[None] % 3 > 0

    def loss(q, k, v):
        return (attend(q, k, v, valid) ** 2).sum()

    gradient = jax.grad(loss, argnums=(0, 1, 2))
    whole = gradient(*given)
    monkeypatch.setattr(attention, "_BLOCK", 8)
    for ours, plain in zip(gradient(*given), whole, strict=True):
        np.testing.assert_allclose(ours, plain, rtol=1e-5, atol=1e-5)


def test_attention_in_blocks_without_any_key_is_finite(monkeypatch):
    monkeypatch.setattr(attention, "_BLOCK", 8)
    q = normal(1, 1, 20, 4)
    assert np.isfinite(attend(q, q, q, np.zeros((1, 20), bool))).all()


def test_rotation_keeps_lengths_and_speaks_of_distance_alone():
    table = rotary_table(4, 5, 8)
    q, k = normal(8), normal(8, seed=1)
    turned_q = rotate(np.broadcast_to(q, (20, 8)), table)
    turned_k = rotate(np.broadcast_to(k, (20, 8)), table)
    np.testing.assert_allclose(
        np.linalg.norm(turned_q, axis=-1), np.linalg.norm(q), rtol=1e-6
    )
    scores = np.asarray(turned_q) @ np.asarray(turned_k).T
    # Cells (x, y) = (1, 0) and (3, 1) lie apart as (0, 2) and (2, 3) do.
    assert scores[1, 5 + 3] == pytest.approx(scores[10, 15 + 2], abs=1e-5)
    assert scores[1, 8] != pytest.approx(scores[8, 1], abs=1e-3)


def test_bicubic_matrix_by_hand():
    # One cell of two becomes two: the sample at -0.25 takes -1, 0, 1 and the clamped
    # -2 with Keys' weights for a = -0.75.
    def keys(d, a=-0.75):
        d = abs(d)
        if d <= 1:
            return (a + 2) * d**3 - (a + 3) * d**2 + 1
        return a * d**3 - 5 * a * d**2 + 8 * a * d - 4 * a

    first = [keys(-0.25 - tap) for tap in (-2, -1, 0, 1)]
    expected = [first[0] + first[1] + first[2], first[3]]
    np.testing.assert_allclose(bicubic_matrix(2, 4)[0], expected, atol=1e-6)
    np.testing.assert_allclose(bicubic_matrix(7, 64).sum(axis=1), 1, atol=1e-6)
    np.testing.assert_allclose(bicubic_matrix(5, 5), np.eye(5), atol=1e-7)


def test_sine_encoding_by_hand():
    encoding = sine_position_encoding(2, 3, 8)
    assert encoding.shape == (2, 3, 8)
    y, x = np.pi, 2 * np.pi / 3 * 2  # row 1 of 2, column 2 of 3
    expected = [np.sin(y), np.cos(y), np.sin(y / 100), np.cos(y / 100)]
    expected += [np.sin(x), np.cos(x), np.sin(x / 100), np.cos(x / 100)]
    np.testing.assert_allclose(encoding[0, 1], expected, atol=1e-5)


def test_means_of_memories_are_projected_as_values_would_be():
    layer = RotaryAttention(8, 1, jnp.float32, nnx.Rngs(3), key_channels=4)
    layer.v_proj.bias[...] = jnp.arange(8.0)
    keys = jax.random.split(jax.random.key(0), 3)
    q = jax.random.normal(keys[0], (2, 9, 8))
    k = jax.random.normal(keys[1], (2, 2 * 9 + 3, 4))
    v = jax.random.normal(keys[2], (2, 2 * 9 + 3, 4))
    valid = jnp.arange(21) < jnp.array([[21], [15]])
    # With its place in the image, and a value for each memory.
    table = rotary_table(3, 3, 8)
    turned_q, turned_k = rotate(layer.q_proj(q), table), layer.k_proj(k)
    frames = rotate(turned_k[:, :18].reshape(2, 2, 9, 8), table).reshape(2, 18, 8)
    turned_k = jnp.concatenate([frames, turned_k[:, 18:]], axis=1)
    scores = turned_q @ turned_k.transpose(0, 2, 1) / np.sqrt(8)
    weights = jax.nn.softmax(jnp.where(valid[:, None], scores, -jnp.inf), axis=-1)
    plain = layer.out_proj(weights @ layer.v_proj(v))
    np.testing.assert_allclose(layer(q, k, v, valid, 3), plain, atol=2e-6)


@pytest.mark.parametrize("together", [1, 2, 5])
def test_any_number_of_objects_attends_as_each_alone(together, monkeypatch):
    monkeypatch.setattr(memory_attention, "_MAX_TOKENS", 12 * together)
    attention = MemoryAttention(
        dataclasses.replace(
            sam2_config("toy", 64), d_model=8, mem_dim=4, memory_mlp_dim=8
        ),
        nnx.Rngs(0),
    )
    image, position = normal(1, 9, 8), normal(9, 8, seed=1)
    memory, place = normal(5, 12, 4, seed=2), normal(5, 12, 4, seed=3)
    valid = np.ones((5, 12), bool)
    together = attention(image, position, memory, place, valid, 3)
    for i in range(5):
        own = (x[i : i + 1] for x in (memory, place, valid))
        alone = attention(image, position, *own, 3)
        # Sums over a batch are rounded in another order.
        np.testing.assert_allclose(together[i : i + 1], alone, atol=1e-5)
