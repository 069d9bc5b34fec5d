"""The programs for GPUs: fused attention, objects as one batch; on the CPU.

The kernels themselves need a GPU; tokamax's portable implementation stands in for them.
On a GPU (JAX_PLATFORMS=cuda,cpu) the same tests compare the kernels.
"""

import dataclasses
import functools
import re
import warnings

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from absl import flags
from absl.testing import flagsaver
from flax import nnx
from jax.extend import backend

from c2g_jax.checkpoints.safetensors import initialise, save_weights
from c2g_jax.cli import launch
from c2g_jax.sam2 import fused_attention, memory
from c2g_jax.sam2.attention import attend, merge_heads, split_heads
from c2g_jax.sam2.config import default_dtype, sam2_config
from c2g_jax.sam2.fused_attention import attend_fused, attend_tokens, resolve_attention
from c2g_jax.sam2.layers import PointwiseConv, conv
from c2g_jax.sam2.model import Sam2, abstract_sam2, for_inference, normalize_frames
from c2g_jax.sam2.track import track_step
from c2g_jax.types import InputError
from tests.small_sam2 import embolden, one_block_config

ON_GPU = jax.default_backend() == "gpu"
# Errors of means of values of order 1, by the type: sums in another order; products of
# TF32 on a GPU; weights and values rounded to 8 bits.
BOUNDS = {jnp.float32: 4e-3 if ON_GPU else 5e-6, jnp.bfloat16: 2e-2}
EXACT = BOUNDS[jnp.float32]


@pytest.fixture
def portable(monkeypatch):
    pytest.importorskip("tokamax", reason="fused attention comes with the extra cuda")
    if not ON_GPU:
        monkeypatch.setattr(fused_attention, "_IMPLEMENTATION", "xla")


def normal(*shape, seed=0, dtype=jnp.float32):
    values = np.random.default_rng(seed).normal(size=shape)
    return jnp.asarray(values, dtype)


def plain(q, k, v, valid=None):
    """`attend_fused` by the plain form."""
    out = attend(*(x.transpose(0, 2, 1, 3) for x in (q, k, v)), valid)
    return out.transpose(0, 2, 1, 3)


# Queries, keys, heads, width of queries and of values: windows, pooled windows, the
# decoder's tokens, memories narrower than queries, and lengths that fill no block.
SHAPES = [
    (64, 64, 2, 72, 72),
    (16, 64, 2, 72, 72),
    (9, 130, 8, 16, 16),
    (130, 9, 8, 16, 16),
    (81, 7 * 81 + 64, 1, 32, 8),
    (1, 1, 1, 4, 4),
]


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16])
def test_fused_attention_is_the_plain_one(portable, shape, dtype):
    queries, keys, heads, wide, narrow = shape
    q = normal(3, queries, heads, wide, dtype=dtype)
    k = normal(3, keys, heads, wide, seed=1, dtype=dtype)
    v = normal(3, keys, heads, narrow, seed=2, dtype=dtype)
    valid = np.random.default_rng(3).random((3, keys)) < 0.7
    valid[:, 0] = True
    for given in (None, jnp.asarray(valid)):
        got, want = attend_fused(q, k, v, given), plain(q, k, v, given)
        assert got.dtype == dtype
        assert got.shape == (3, queries, heads, narrow)
        np.testing.assert_allclose(
            np.asarray(got, np.float32),
            np.asarray(want, np.float32),
            atol=BOUNDS[dtype],
        )


@pytest.mark.parametrize("length", [0, 1, 5, 12, 13])
def test_keys_after_the_last_valid_one_do_not_count(portable, length):
    q, k, v = normal(2, 6, 1, 8), normal(2, 13, 1, 8, seed=1), normal(2, 13, 1, 4)
    valid = np.arange(13) < np.array([[length], [13]])
    loud = jnp.where(valid[:, :, None, None], v, 1e30)
    out = np.asarray(attend_fused(q, k, loud, jnp.asarray(valid)))
    whole = np.asarray(plain(q, k, v))
    np.testing.assert_allclose(out[1], whole[1], atol=EXACT)
    if length == 0:  # discarded by callers, but nothing that spoils a sum
        valid = np.zeros((2, 13), bool)
        assert np.isfinite(attend_fused(q, k, v, jnp.asarray(valid))).all()
    else:
        alone = plain(q[:1], k[:1, :length], v[:1, :length])
        np.testing.assert_allclose(out[:1], alone, atol=EXACT)


def test_fused_attention_has_the_gradients_of_the_plain_one(portable):
    given = normal(2, 5, 2, 8), normal(2, 11, 2, 8, seed=1), normal(2, 11, 2, 4, seed=2)
    valid = jnp.asarray(np.arange(11) % 3 != np.array([[0], [1]]))
    weight = normal(2, 5, 2, 4, seed=3)

    def loss(f, *given):
        return (f(*given, valid) * weight).sum()

    for ours, theirs in zip(
        jax.grad(functools.partial(loss, attend_fused), (0, 1, 2))(*given),
        jax.grad(functools.partial(loss, plain), (0, 1, 2))(*given),
        strict=True,
    ):
        np.testing.assert_allclose(ours, theirs, atol=2 * EXACT)


def test_heads_lie_side_by_side_in_the_channels(portable):
    q, k, v = normal(2, 7, 24), normal(2, 9, 24, seed=1), normal(2, 9, 12, seed=2)
    valid = jnp.asarray(np.arange(9) < np.array([[9], [4]]))
    heads = (split_heads(x, 3) for x in (q, k, v))
    want = merge_heads(attend(*heads, valid))
    np.testing.assert_allclose(attend_tokens(q, k, v, 3, valid), want, atol=EXACT)


def test_a_pointwise_convolution_is_a_product():
    layers = [conv(5, 3, 1, jnp.float32, nnx.Rngs(0), fused=f) for f in (True, False)]
    assert isinstance(layers[0], PointwiseConv)
    x = normal(2, 4, 6, 5)
    bound = EXACT if ON_GPU else 1e-6
    np.testing.assert_allclose(layers[0](x), layers[1](x), atol=bound)


def fused_twin(model: Sam2) -> Sam2:
    """The same parameters in the programs for GPUs."""
    config = dataclasses.replace(model.config, attention="fused")
    graph, _ = nnx.split(abstract_sam2(config))
    return nnx.merge(graph, nnx.state(model))


def small_model(dtype: str) -> Sam2:
    config = one_block_config(64, dtype=dtype, attention="plain")
    return embolden(initialise(abstract_sam2(config), 0))


def encode(model: Sam2, frame):
    return model.encode_image(normalize_frames(frame[None]))


def step(model: Sam2, frame, n: int = 3):
    """Encode a frame, track it into an empty bank, then track it once more."""
    features = encode(model, frame)
    bank, active = memory.empty_bank(model.config, n), jnp.arange(n) != 1
    bank, _ = track_step(model, bank, features, jnp.int32(0), active)
    bank, out = track_step(model, bank, features, jnp.int32(1), active)
    return features, bank, out.without_candidates()


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("held", [False, True])
def test_the_programs_for_gpus_find_what_the_plain_ones_do(portable, dtype, held):
    model = small_model(dtype)
    twin = fused_twin(model)
    if held:
        twin = for_inference(twin)
    frame = np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8)
    kept = np.array([0, 2])  # object 1 is not active: its outputs are undefined
    (seen, bank, want), (seen_too, bank_too, got) = (
        jax.jit(step)(m, frame) for m in (model, twin)
    )
    # Sums in another order; in bfloat16 each layer rounds to 8 bits, and so do products
    # of TF32 to 11 on a GPU.
    bound = (2e-2 if ON_GPU else 1e-4) if dtype == "float32" else 6e-2

    def close(ours, theirs):
        ours, theirs = np.asarray(ours, np.float32), np.asarray(theirs, np.float32)
        assert np.linalg.norm(ours - theirs) <= bound * np.linalg.norm(theirs)

    jax.tree.map(close, seen_too, seen)
    close(bank_too.recent[kept], bank.recent[kept])
    close(got.mask_logits[kept], want.mask_logits[kept])
    close(got.obj_ptr[kept], want.obj_ptr[kept])


def test_weights_for_inference_are_half_as_large(tmp_path):
    plain, model = small_model("bfloat16"), fused_twin(small_model("bfloat16"))
    held = for_inference(model)
    sizes = [
        sum(x.nbytes for x in jax.tree.leaves(m))
        for m in (held, for_inference(plain), model)
    ]
    assert max(sizes[:2]) < 0.6 * sizes[2]
    for rounded in (held, for_inference(plain), for_inference(held)):
        with pytest.raises(InputError, match="made for inference, and its weights are"):
            save_weights(rounded, tmp_path / "held", {"size": "toy"})
    same = for_inference(small_model("float32"))
    save_weights(same, tmp_path / "same", {"size": "toy"})
    # The model itself is as it was, and a copy of a copy is equal to it.
    kinds = {x.dtype for x in jax.tree.leaves(nnx.state(model))}
    assert kinds == {jnp.dtype("float32")}
    again = for_inference(held)
    assert jax.tree.structure(again) == jax.tree.structure(held)
    jax.tree.map(np.testing.assert_array_equal, again, held)
    # Rounded as each use would, split in the order of the channels.
    block, kept = held.image_encoder.trunk.blocks[0].attn, model.image_encoder.trunk
    whole = kept.blocks[0].attn.qkv.kernel[...].astype(jnp.bfloat16)
    parts = [layer.kernel[...] for layer in (block.q, block.k, block.v)]
    np.testing.assert_array_equal(jnp.concatenate(parts, axis=1), whole)


def lowered(form: str, n: int) -> dict[str, str]:
    """The programs of a video as they are lowered for CUDA, which needs no card.

    At 1024 pixels, where the plain form has loops.
    """
    config = sam2_config("toy", 1024, "bfloat16", attention=form)
    model = jax.eval_shape(for_inference, abstract_sam2(config))
    frame = jax.ShapeDtypeStruct((1024, 1024, 3), jnp.uint8)
    plain_model = abstract_sam2(sam2_config("toy", 1024, "bfloat16", "plain"))
    features = jax.eval_shape(encode, plain_model, frame)
    bank = jax.eval_shape(lambda: memory.empty_bank(config, n))
    index = jax.ShapeDtypeStruct((), jnp.int32)
    active = jax.ShapeDtypeStruct((n,), bool)
    programs = {
        "encode": (encode, model, frame),
        "track": (track_step, model, bank, features, index, active),
    }
    return {
        name: jax.jit(function).trace(*given).lower(lowering_platforms=("cuda",))
        .as_text()
        for name, (function, *given) in programs.items()
    }  # fmt: skip


def loops_and_kernels(text: str) -> tuple[list[str], list[str]]:
    lines = text.splitlines()
    calls = [line for line in lines if "stablehlo.custom_call" in line]
    loops = [line for line in lines if "stablehlo.while" in line]
    return loops, [line for line in calls if "triton" in line.partition("(")[0]]


@pytest.mark.parametrize("n", [1, 4])
def test_no_loop_is_left_in_the_programs_for_gpus(n):
    tokamax = pytest.importorskip("tokamax")
    with tokamax.config.cross_compile(True):
        fused = lowered("fused", n)
    plain = lowered("plain", n)
    # Seven blocks of the trunk; two attentions in each of two layers of the memory
    # attention, three in each of two of the decoder, and its last one.
    for name, count in (("encode", 7), ("track", 2 * 2 + 2 * 3 + 1)):
        assert [len(x) for x in loops_and_kernels(fused[name])] == [0, count]
        loops, kernels = loops_and_kernels(plain[name])
        assert loops, "the plain form has some at this size"
        assert not kernels


class Cpu:
    """What JAX tells of a CPU."""

    platform = device_kind = "cpu"


class Gpu:
    """What JAX tells of a GPU."""

    platform, device_kind = "gpu", "NVIDIA H100"

    def __init__(self, capability: str):
        self.compute_capability = capability


@pytest.mark.parametrize(
    ("device", "installed", "form", "says"),
    [
        (Gpu("9.0"), True, "fused", None),
        (Gpu("8.0"), True, "fused", None),
        (Gpu("9.0"), False, "plain", r"tokamax is not installed \(pip install"),
        (Gpu("7.5"), True, "plain", "has no fused attention"),
        (Gpu("gfx942"), True, "plain", "has no fused attention"),
    ],
)
def test_attention_follows_the_device(monkeypatch, device, installed, form, says):
    monkeypatch.setattr(backend, "get_default_device", lambda: device)
    monkeypatch.setattr(fused_attention, "_has_tokamax", lambda: installed)
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        config = sam2_config("toy")
    assert config.attention == form
    lines = [str(w.message) for w in told]
    assert len(lines) == (says is not None)
    assert says is None or re.search(says, lines[0])


def test_the_type_follows_the_device_unless_it_is_named(monkeypatch):
    monkeypatch.setattr(backend, "get_default_device", Cpu)
    assert default_dtype() == "float32"
    with flagsaver.flagsaver():
        flags.FLAGS(["command"])
        assert launch.computing() == "; computes in float32 on cpu (--dtype)"
        monkeypatch.setattr(backend, "get_default_device", lambda: Gpu("9.0"))
        assert default_dtype() == launch.compute_dtype() == "bfloat16"
        told = "; computes in bfloat16 on NVIDIA H100 (--dtype)"
        assert launch.computing() == told
        monkeypatch.setattr(backend, "get_default_device", lambda: Gpu("7.5"))
        assert default_dtype() == "float32"
        flags.FLAGS(["command", "--dtype=float32"])
        assert launch.compute_dtype() == "float32"


def test_attention_is_plain_on_a_cpu_and_other_words_are_refused(monkeypatch):
    monkeypatch.setattr(backend, "get_default_device", Cpu)
    assert sam2_config("toy").attention == "plain"
    with pytest.raises(
        InputError, match="unknown attention 'fast': choose one of auto"
    ):
        sam2_config("toy", attention="fast")
    monkeypatch.setattr(fused_attention, "_has_tokamax", lambda: False)
    with pytest.raises(InputError, match="fused attention needs tokamax: pip install"):
        resolve_attention("fused")
