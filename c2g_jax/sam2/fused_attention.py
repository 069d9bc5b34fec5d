"""Fused attention, by the kernels of tokamax; and whether the device has them.

A fused kernel keeps the scores of a block of queries on the chip: they never go through
the memory of the GPU.
"""

import functools
import logging
import warnings
from types import ModuleType

import jax
import jax.numpy as jnp
from jax.extend import backend

from c2g_jax.types import InputError

AUTO, PLAIN, FUSED = "auto", "plain", "fused"
ATTENTION = (AUTO, PLAIN, FUSED)

_INSTALL = "pip install 'click2graph-jax[cuda]'"
# Of tokamax's implementations the one that compiles for Ampere and later, and takes
# values narrower than queries. Tests take "xla", which runs everywhere.
_IMPLEMENTATION = "triton"
_AMPERE = 8.0  # compute capability: from there on Triton's kernels and bfloat16 run


def resolve_attention(choice: str) -> str:
    """Return "plain" or "fused" for a choice in `ATTENTION`.

    "auto" is "fused" if JAX's default device is an NVIDIA GPU that the kernels run on
    and tokamax is installed; a GPU without them is told in a warning. InputError for
    "fused" without tokamax, and for another word.
    """
    if choice not in ATTENTION:
        raise InputError(
            f"unknown attention {choice!r}: choose one of {', '.join(ATTENTION)}"
        )
    if choice == AUTO:
        return _of_device(backend.get_default_device())
    if choice == FUSED and not _has_tokamax():
        raise InputError(f"fused attention needs tokamax: {_INSTALL}")
    return choice


@functools.cache
def _of_device(device: jax.Device) -> str:
    if device.platform != "gpu":
        return PLAIN
    reason = None
    if not is_modern(device):
        reason = f"{device.device_kind} has no fused attention"
    elif not _has_tokamax():
        reason = f"tokamax is not installed ({_INSTALL})"
    if reason is None:
        return FUSED
    warnings.warn(f"{reason}: attention is plain, several times slower", stacklevel=4)
    return PLAIN


def is_modern(device: jax.Device) -> bool:
    """Return whether a device is an NVIDIA GPU from Ampere on."""
    try:
        return float(getattr(device, "compute_capability", 0)) >= _AMPERE
    except ValueError:  # of another maker
        return False


@functools.cache
def _has_tokamax() -> bool:
    try:
        import tokamax  # noqa: F401
    except ImportError:
        return False
    return True


@functools.cache
def _tokamax() -> ModuleType:
    """Import tokamax, and adapt it to programs that are not its own."""
    import tokamax
    from absl import flags

    # It reads its options from absl, which parses sys.argv if nobody has: a program
    # with other flags than absl's would end there.
    if not flags.FLAGS.is_parsed():
        flags.FLAGS.mark_as_parsed()
    # It warns of each shape that nobody has tuned it for.
    logging.getLogger("absl").addFilter(
        lambda record: "Autotuning cache miss" not in str(record.msg)
    )
    return tokamax


def attend_fused(
    q: jax.Array, k: jax.Array, v: jax.Array, valid: jax.Array | None = None
) -> jax.Array:
    """Scaled dot-product attention of q [b, s, h, d].

    Over keys [b, t, h, d] and values [b, t, h, e]; returns [b, s, h, e]. `valid` bool
    [b, t] masks keys; those after the last valid one are not computed. Rows without any
    valid key give finite values, which callers discard.
    """
    mask = lengths = None
    if valid is not None:
        mask = valid[:, None, None]
        last = jnp.where(valid, jnp.arange(1, valid.shape[1] + 1, dtype=jnp.int32), 0)
        lengths = last.max(axis=1)
    return _tokamax().dot_product_attention(
        q,
        k,
        v,
        mask=mask,
        key_value_seq_lengths=lengths,
        implementation=_IMPLEMENTATION,
    )


def attend_tokens(
    q: jax.Array,
    k: jax.Array,
    v: jax.Array,
    num_heads: int,
    valid: jax.Array | None = None,
) -> jax.Array:
    """Attend with heads that lie side by side in the channels, without a transpose.

    q [b, s, h * d], k [b, t, h * d], v [b, t, h * e], valid bool [b, t]: [b, s, h * e].
    """
    heads = (x.reshape(*x.shape[:2], num_heads, -1) for x in (q, k, v))
    return attend_fused(*heads, valid).reshape(*q.shape[:2], -1)
