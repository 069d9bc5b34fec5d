"""What a training clip remembers of its frames, and what each frame attends to."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool

from c2g_jax.sam2.masks import resize_logits
from c2g_jax.sam2.memory import RECENT, Memories
from c2g_jax.sam2.model import FrameFeatures, Sam2


class FrameOutput(NamedTuple):
    """The final prediction for n objects on a frame, which memory encodes."""

    mask_logits: jax.Array  # float32 [n, 4h, 4w]
    present: jax.Array  # bool [n]
    obj_ptr: jax.Array  # [n, c]


class ClipMemory(NamedTuple):
    """Memories of n objects, a slot for each of the first s frames.

    Clips are short, so none is overwritten.
    """

    spatial: jax.Array  # [n, s, h, w, m]
    pointers: jax.Array  # [n, s, c]


def no_memory(model: Sam2, output: FrameOutput, slots: int) -> ClipMemory:
    """Return empty slots for the objects of an output."""
    config, pointer = model.config, output.obj_ptr
    n, side = pointer.shape[0], config.feature_size
    spatial = jnp.zeros((n, slots, side, side, config.mem_dim), config.compute_dtype)
    return ClipMemory(spatial, jnp.zeros((n, slots, *pointer.shape[1:]), pointer.dtype))


def remember(
    model: Sam2,
    memory: ClipMemory,
    t: jax.Array,
    features: FrameFeatures,
    output: FrameOutput,
) -> ClipMemory:
    """Fill slot t. Masks are not binarised in training (sam2_base.py:700)."""
    size = model.config.image_size
    soft = jnp.zeros_like(output.present)
    spatial = model.encode_memory(
        features, resize_logits(output.mask_logits, size, size), output.present, soft
    )
    return ClipMemory(
        memory.spatial.at[:, t].set(spatial),
        memory.pointers.at[:, t].set(output.obj_ptr),
    )


def clip_memories(
    memory: ClipMemory,
    frame: int | jax.Array,
    conditioning: Bool[Array, "t"],
    max_pointers: int,
) -> Memories:
    """Return what a frame attends to, as `sam2.memory.gather` does in use.

    Slots from that frame on are not valid.
    """
    n, slots = memory.pointers.shape[:2]
    age = frame - jnp.arange(slots)
    known, prompted = age > 0, conditioning[:slots]
    age = jnp.maximum(age, 1)

    def each(x: Array) -> Array:
        return jnp.broadcast_to(x, (n, slots))

    return Memories(
        spatial=memory.spatial,
        spatial_time=each(jnp.where(prompted, RECENT, jnp.minimum(age, RECENT) - 1)),
        spatial_valid=each(known & (prompted | (age <= RECENT))),
        pointers=memory.pointers,
        pointer_time=each(age.astype(jnp.float32)),
        pointer_valid=each(known & (prompted | (age < max_pointers))),
    )
