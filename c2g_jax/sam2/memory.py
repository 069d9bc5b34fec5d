"""What a video step remembers: a pytree of fixed shape for n objects.

Slots are found by the frame index written beside them; -1 says that a slot is empty.
Each object has its own indices, so objects of one batch may be of different age.
"""

import dataclasses
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from c2g_jax.sam2.config import Sam2Config

EMPTY = -1
RECENT = 6  # tracked frames attended to, beside the prompted ones
MAX_CONDITIONING = 16  # prompted frames of an object in a bank, the closest in time


def _static(default):
    return dataclasses.field(default=default, metadata=dict(static=True))


def bucket(count: int) -> int:
    """The batch size that holds so many objects, or slots: 1, 2, 4, 8, 16, 32, ..."""
    size = 1
    while size < count:
        size *= 2
    return size


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class MemoryBank:
    """Memories of n objects: k prompted frames, and rings of the most recent ones.

    With a `stride` of r > 1 the recent memories are those of the last frame and of five
    frames whose indices are multiples of r; the ring then has a seventh slot for the
    last frame, where that is no multiple.
    """

    conditioning: jax.Array  # [n, k, h, w, m]
    conditioning_pointers: jax.Array  # [n, k, c]
    conditioning_frames: jax.Array  # int32 [n, k]
    recent: jax.Array  # [n, 6 or 7, h, w, m], see `ring_slot`
    recent_frames: jax.Array  # int32 [n, 6 or 7]
    pointers: jax.Array  # [n, 15, c], frame t is in slot t % 15
    pointer_frames: jax.Array  # int32 [n, 15]
    stride: int = _static(1)
    # So many prompted frames, the closest in time, are attended to as such; the others
    # as if they were tracked. None: all of them.
    max_conditioning: int | None = _static(None)

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
    config: Sam2Config,
    num_objects: int,
    num_conditioning: int = 1,
    stride: int = 1,
    max_conditioning: int | None = None,
) -> MemoryBank:
    """A bank for n objects with k conditioning slots and nothing in it."""
    n, k, size = num_objects, num_conditioning, config.feature_size
    recent, pointers = RECENT + (stride > 1), config.max_obj_ptrs - 1
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
        stride=stride,
        max_conditioning=max_conditioning,
    )


def ring_slot(frame: jax.Array, stride: int) -> jax.Array:
    """The slot of `recent` that a tracked frame is written to."""
    if stride == 1:
        return frame % RECENT
    return jnp.where(frame % stride == 0, frame // stride % RECENT, RECENT)


def grow(bank: MemoryBank, num_objects: int, num_conditioning: int) -> MemoryBank:
    """The same bank with room for more objects or conditioning frames."""

    def pad(name: str, x: jax.Array) -> jax.Array:
        slots = num_conditioning if name.startswith("conditioning") else x.shape[1]
        widths = [(0, num_objects - x.shape[0]), (0, slots - x.shape[1])]
        widths += [(0, 0)] * (x.ndim - 2)
        fill = EMPTY if name.endswith("frames") else 0
        return jnp.pad(x, widths, constant_values=fill)

    names = [f.name for f in dataclasses.fields(bank) if not f.metadata]
    grown = {name: pad(name, getattr(bank, name)) for name in names}
    return dataclasses.replace(bank, **grown)


def forget(bank: MemoryBank, where: Bool[Array, "n"]) -> MemoryBank:
    """Empty the bank of the objects in `where`."""

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
    memory: Float[Array, "n h w m"],
    pointer: Float[Array, "n c"],
    frame: Int[Array, ""],
    where: Bool[Array, "n"],
) -> MemoryBank:
    """Write a tracked frame's memory and pointer to the rings, for those in `where`."""

    recent_slot = ring_slot(frame, bank.stride)
    pointer_slot = frame % bank.pointers.shape[1]

    def write(ring: jax.Array, value: jax.Array, slot: jax.Array) -> jax.Array:
        old = jax.lax.dynamic_index_in_dim(ring, slot, axis=1, keepdims=False)
        keep = where.reshape(-1, *[1] * (old.ndim - 1))
        new = jnp.where(keep, value.astype(ring.dtype), old)
        return jax.lax.dynamic_update_index_in_dim(ring, new, slot, axis=1)

    index = jnp.broadcast_to(frame.astype(jnp.int32), where.shape)
    return dataclasses.replace(
        bank,
        recent=write(bank.recent, memory, recent_slot),
        recent_frames=write(bank.recent_frames, index, recent_slot),
        pointers=write(bank.pointers, pointer, pointer_slot),
        pointer_frames=write(bank.pointer_frames, index, pointer_slot),
    )


def push_conditioning(
    bank: MemoryBank,
    memory: Float[Array, "n h w m"],
    pointer: Float[Array, "n c"],
    frame: Int[Array, ""],
    where: Bool[Array, "n"],
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


def gather(
    bank: MemoryBank, frame: Int[Array, ""], direction: Int[Array, ""] | int
) -> Memories:
    """What `frame` attends to; `direction` is 1 forward in time, -1 in reverse.

    sam2/modeling/sam2_base.py:530-640: all prompted frames, the six frames just
    behind, and the pointers of the prompted frames that lie behind and of the fifteen
    frames just behind. The last row of the temporal embedding is that of prompted
    frames, row 0 that of the nearest frame.
    """

    def age(frames: jax.Array) -> jax.Array:
        return (frame - frames) * direction

    # How the frames of the ring, or prompted ones over the limit, count as recent.
    def recency(frames: jax.Array) -> tuple[jax.Array, jax.Array]:
        steps = _steps_behind(frames, frame, direction, bank.stride)
        valid = (frames != EMPTY) & (steps >= 0) & (steps < RECENT)
        return valid, jnp.where(valid, steps, 0)

    num_pointers = bank.pointers.shape[1]

    def is_near(frames: jax.Array) -> jax.Array:
        return (frames != EMPTY) & (age(frames) >= 1) & (age(frames) <= num_pointers)

    prompted = bank.conditioning_frames
    exists = prompted != EMPTY
    chosen = _closest(prompted, frame, bank.max_conditioning)
    over_valid, over_row = recency(prompted)
    recent_valid, recent_row = recency(bank.recent_frames)
    times = [age(prompted), age(bank.pointer_frames)]
    prompted_pointers = jnp.where(chosen, age(prompted) >= 0, is_near(prompted))
    return Memories(
        spatial=jnp.concatenate([bank.conditioning, bank.recent], axis=1),
        spatial_time=jnp.concatenate(
            [jnp.where(chosen, RECENT, over_row), recent_row], axis=1
        ),
        spatial_valid=jnp.concatenate(
            [exists & (chosen | over_valid), recent_valid], axis=1
        ),
        pointers=jnp.concatenate([bank.conditioning_pointers, bank.pointers], axis=1),
        pointer_time=jnp.concatenate(times, axis=1).astype(jnp.float32),
        pointer_valid=jnp.concatenate(
            [exists & prompted_pointers, is_near(bank.pointer_frames)], axis=1
        ),
    )


def _steps_behind(
    frames: jax.Array, frame: jax.Array, direction: jax.Array, stride: int
) -> jax.Array:
    """0 for the frame just behind, 1 to 5 for those that follow it; else outside.

    sam2_base.py:553-568: with a stride, those are multiples of it.
    """
    age = (frame - frames) * direction
    if stride == 1:
        return age - 1
    # The nearest multiple two or more frames behind; rounded away from `frame`.
    nearest = (frame - 2 * direction) * direction // stride * stride * direction
    steps = (nearest - frames) * direction
    regular = (frames % stride == 0) & (steps >= 0)
    return jnp.where(age == 1, 0, jnp.where(regular, steps // stride + 1, RECENT))


def _closest(frames: jax.Array, frame: jax.Array, limit: int | None) -> jax.Array:
    """Which conditioning slots, bool [n, k], are attended to as prompted frames.

    sam2_utils.py:20-63: the nearest before, the nearest from `frame` on, then others
    by distance, `limit` in all.
    """
    if limit is None or frames.shape[1] <= limit:
        return frames != EMPTY
    far = jnp.int32(1 << 29)
    distance = jnp.where(frames == EMPTY, far, jnp.abs(frames - frame))
    sides = [(frames < frame), (frames >= frame)]
    for side in sides:
        own = jnp.where(side, distance, far)
        nearest = own == jnp.min(own, axis=1, keepdims=True)
        distance = jnp.where(nearest & (own < far), -1, distance)
    rank = jnp.argsort(jnp.argsort(distance, axis=1, stable=True), axis=1)
    return (frames != EMPTY) & (rank < limit)
