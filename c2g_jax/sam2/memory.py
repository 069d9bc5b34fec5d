"""What a video step remembers: a pytree of fixed shape for n objects.

Slots are found by the frame index written beside them; -1 says that a slot is empty.
Each object has its own indices, so objects of one batch may be of different age.
"""

import dataclasses
from typing import NamedTuple

import jax
import jax.numpy as jnp

from c2g_jax.sam2.config import Sam2Config

EMPTY = -1


def bucket(count: int) -> int:
    """The batch size that holds so many objects, or slots: 1, 2, 4, 8, 16, 32, ..."""
    size = 1
    while size < count:
        size *= 2
    return size


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class MemoryBank:
    """Memories of n objects: k prompted frames, and rings of the most recent ones."""

    conditioning: jax.Array  # [n, k, h, w, m]
    conditioning_pointers: jax.Array  # [n, k, c]
    conditioning_frames: jax.Array  # int32 [n, k]
    recent: jax.Array  # [n, 6, h, w, m], frame t is in slot t % 6
    recent_frames: jax.Array  # int32 [n, 6]
    pointers: jax.Array  # [n, 15, c], frame t is in slot t % 15
    pointer_frames: jax.Array  # int32 [n, 15]

    @property
    def num_objects(self) -> int:
        return self.conditioning.shape[0]

    @property
    def num_conditioning(self) -> int:
        return self.conditioning.shape[1]


class Memories(NamedTuple):
    """What one frame attends to; `valid` masks what does not exist for an object."""

    spatial: jax.Array  # [n, s, h, w, m]
    spatial_time: jax.Array  # int32 [n, s], row of the temporal embedding
    spatial_valid: jax.Array  # bool [n, s]
    pointers: jax.Array  # [n, p, c]
    pointer_time: jax.Array  # float32 [n, p], frames from the pointer to now
    pointer_valid: jax.Array  # bool [n, p]


def empty_bank(
    config: Sam2Config, num_objects: int, num_conditioning: int = 1
) -> MemoryBank:
    """A bank for n objects with k conditioning slots and nothing in it."""
    n, k, size = num_objects, num_conditioning, config.feature_size
    recent, pointers = config.num_maskmem - 1, config.max_obj_ptrs - 1
    dtype = config.compute_dtype

    def memories(slots: int) -> jax.Array:
        return jnp.zeros((n, slots, size, size, config.mem_dim), dtype)

    def frames(slots: int) -> jax.Array:
        return jnp.full((n, slots), EMPTY, jnp.int32)

    return MemoryBank(
        conditioning=memories(k),
        conditioning_pointers=jnp.zeros((n, k, config.d_model), dtype),
        conditioning_frames=frames(k),
        recent=memories(recent),
        recent_frames=frames(recent),
        pointers=jnp.zeros((n, pointers, config.d_model), dtype),
        pointer_frames=frames(pointers),
    )


def grow(bank: MemoryBank, num_objects: int, num_conditioning: int) -> MemoryBank:
    """The same bank with room for more objects or conditioning frames."""

    def pad(name: str, x: jax.Array) -> jax.Array:
        slots = num_conditioning if name.startswith("conditioning") else x.shape[1]
        widths = [(0, num_objects - x.shape[0]), (0, slots - x.shape[1])]
        widths += [(0, 0)] * (x.ndim - 2)
        fill = EMPTY if name.endswith("frames") else 0
        return jnp.pad(x, widths, constant_values=fill)

    fields = dataclasses.fields(bank)
    return MemoryBank(**{f.name: pad(f.name, getattr(bank, f.name)) for f in fields})


def forget(bank: MemoryBank, where: jax.Array) -> MemoryBank:
    """Empty the bank of the objects in `where`, bool [n]."""

    def clear(frames: jax.Array) -> jax.Array:
        return jnp.where(where[:, None], EMPTY, frames)

    return dataclasses.replace(
        bank,
        conditioning_frames=clear(bank.conditioning_frames),
        recent_frames=clear(bank.recent_frames),
        pointer_frames=clear(bank.pointer_frames),
    )


def push_recent(
    bank: MemoryBank,
    memory: jax.Array,
    pointer: jax.Array,
    frame: jax.Array,
    where: jax.Array,
) -> MemoryBank:
    """Write a tracked frame's memory [n, h, w, m] and pointer [n, c] to the rings.

    Only the objects in `where`, bool [n], are written.
    """

    def write(ring: jax.Array, value: jax.Array) -> jax.Array:
        slot = frame % ring.shape[1]
        old = jax.lax.dynamic_index_in_dim(ring, slot, axis=1, keepdims=False)
        keep = where.reshape(-1, *[1] * (old.ndim - 1))
        new = jnp.where(keep, value.astype(ring.dtype), old)
        return jax.lax.dynamic_update_index_in_dim(ring, new, slot, axis=1)

    index = jnp.broadcast_to(frame.astype(jnp.int32), where.shape)
    return dataclasses.replace(
        bank,
        recent=write(bank.recent, memory),
        recent_frames=write(bank.recent_frames, index),
        pointers=write(bank.pointers, pointer),
        pointer_frames=write(bank.pointer_frames, index),
    )


def push_conditioning(
    bank: MemoryBank,
    memory: jax.Array,
    pointer: jax.Array,
    frame: jax.Array,
    where: jax.Array,
) -> MemoryBank:
    """Write a prompted frame's memory and pointer to a conditioning slot.

    The slot is the one that holds this frame already, else an empty one, else that of
    the frame furthest away in time. What the rings hold of the frame is dropped: a
    prompted frame is attended to as such alone.
    """
    frames = bank.conditioning_frames
    distance = jnp.abs(frames - frame)
    preference = jnp.where(frames == EMPTY, 1 << 29, distance)
    preference = jnp.where(frames == frame, 1 << 30, preference)
    slot = jnp.argmax(preference, axis=1)
    here = jnp.arange(frames.shape[1])[None] == slot[:, None]
    here = here & where[:, None]

    def write(slots: jax.Array, value: jax.Array) -> jax.Array:
        chosen = here.reshape(*here.shape, *[1] * (slots.ndim - 2))
        return jnp.where(chosen, value[:, None].astype(slots.dtype), slots)

    def drop(ring_frames: jax.Array) -> jax.Array:
        stale = where[:, None] & (ring_frames == frame)
        return jnp.where(stale, EMPTY, ring_frames)

    index = jnp.broadcast_to(frame.astype(jnp.int32), where.shape)
    return dataclasses.replace(
        bank,
        conditioning=write(bank.conditioning, memory),
        conditioning_pointers=write(bank.conditioning_pointers, pointer),
        conditioning_frames=write(frames, index),
        recent_frames=drop(bank.recent_frames),
        pointer_frames=drop(bank.pointer_frames),
    )


def gather(bank: MemoryBank, frame: jax.Array, direction: jax.Array) -> Memories:
    """What `frame` attends to; `direction` is 1 forward in time, -1 in reverse.

    sam2/modeling/sam2_base.py:530-640: all prompted frames, the six frames just
    behind, and the pointers of the prompted frames that lie behind and of the fifteen
    frames just behind. The last row of the temporal embedding is that of prompted
    frames, row 0 that of the nearest frame.
    """

    def age(frames: jax.Array) -> jax.Array:
        return (frame - frames) * direction

    def is_recent(frames: jax.Array) -> jax.Array:
        return (frames != EMPTY) & (age(frames) >= 1) & (age(frames) <= frames.shape[1])

    recent_valid = is_recent(bank.recent_frames)
    last_row = bank.recent.shape[1]
    recent_row = jnp.where(recent_valid, age(bank.recent_frames) - 1, 0)
    prompted = bank.conditioning_frames != EMPTY
    behind = prompted & (age(bank.conditioning_frames) >= 0)
    times = [age(bank.conditioning_frames), age(bank.pointer_frames)]
    return Memories(
        spatial=jnp.concatenate([bank.conditioning, bank.recent], axis=1),
        spatial_time=jnp.concatenate(
            [jnp.full_like(bank.conditioning_frames, last_row), recent_row], axis=1
        ),
        spatial_valid=jnp.concatenate([prompted, recent_valid], axis=1),
        pointers=jnp.concatenate([bank.conditioning_pointers, bank.pointers], axis=1),
        pointer_time=jnp.concatenate(times, axis=1).astype(jnp.float32),
        pointer_valid=jnp.concatenate([behind, is_recent(bank.pointer_frames)], axis=1),
    )
