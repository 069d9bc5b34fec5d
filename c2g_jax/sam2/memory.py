"""Memory bank: memories and object pointers of n objects, a pytree of fixed shape.

The counterpart of upstream's output dicts (cond_frame_outputs, non_cond_frame_outputs).
Each slot has a frame index for each object, -1 where it is empty, so objects of one
batch may have memories of different frames.
"""

import dataclasses
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from c2g_jax.sam2.config import Sam2Config

EMPTY = -1
RECENT = 6  # tracked frames attended to, in addition to conditioning frames
MAX_CONDITIONING = 16  # conditioning frames of an object in a bank, the closest


def _static(default):
    return dataclasses.field(default=default, metadata=dict(static=True))


def bucket(count: int) -> int:
    """Return the smallest power of two that is at least `count`: few compilations."""
    size = 1
    while size < count:
        size *= 2
    return size


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class MemoryBank:
    """Memories of n objects: k conditioning frames, and rings of recent frames.

    With a `stride` of r > 1 the recent memories are those of the preceding frame and of
    five frames whose indices are multiples of r; the ring then has a seventh slot, for
    a preceding frame that is not a multiple.
    """

    conditioning: jax.Array  # [n, k, h, w, m]
    conditioning_pointers: jax.Array  # [n, k, c]
    conditioning_frames: jax.Array  # int32 [n, k]
    recent: jax.Array  # [n, 6 or 7, h, w, m], see `ring_slot`
    recent_frames: jax.Array  # int32 [n, 6 or 7]
    pointers: jax.Array  # [n, 15, c], frame t is in slot t % 15
    pointer_frames: jax.Array  # int32 [n, 15]
    stride: int = _static(1)
    # The number of conditioning frames, the closest in time, attended to as such; the
    # others are treated as tracked frames. None: no limit.
    max_conditioning: int | None = _static(None)

    @property
    def num_objects(self) -> int:
        return self.conditioning.shape[0]

    @property
    def num_conditioning(self) -> int:
        return self.conditioning.shape[1]


class Memories(NamedTuple):
    """The memories one frame attends to; `valid` is False for empty slots."""

    spatial: jax.Array  # [n, s, h, w, m]
    spatial_time: jax.Array  # int32 [n, s], row of the temporal embedding
    spatial_valid: jax.Array  # bool [n, s]
    pointers: jax.Array  # [n, p, c]
    pointer_time: jax.Array  # float32 [n, p], frames since the pointer
    pointer_valid: jax.Array  # bool [n, p]


def empty_bank(
    config: Sam2Config,
    num_objects: int,
    num_conditioning: int = 1,
    stride: int = 1,
    max_conditioning: int | None = None,
) -> MemoryBank:
    """Return an empty bank for n objects with k conditioning slots."""
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
    """Return the slot of `recent` that a tracked frame is written to."""
    if stride == 1:
        return frame % RECENT
    return jnp.where(frame % stride == 0, frame // stride % RECENT, RECENT)


def grow(bank: MemoryBank, num_objects: int, num_conditioning: int) -> MemoryBank:
    """Pad the bank for more objects or conditioning frames."""

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

    The slot is the one with this frame, else an empty one, else the one with the frame
    furthest away in time. The frame is removed from the rings: a prompted frame is
    attended to as a conditioning frame only.
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
    """Select the memories that `frame` attends to.

    sam2/modeling/sam2_base.py:530-640: the memories of all conditioning frames and of
    the six preceding frames; the pointers of the conditioning frames that precede and
    of the fifteen preceding frames. "Preceding" is in the `direction` of tracking, 1
    forward in time, -1 in reverse. The last row of the temporal embedding is for
    conditioning frames, row 0 for the nearest frame.
    """

    def age(frames: jax.Array) -> jax.Array:
        return (frame - frames) * direction

    # Validity and temporal row of frames in the ring, or conditioning frames over the
    # limit, as recent frames.
    def recency(frames: jax.Array) -> tuple[jax.Array, jax.Array]:
        steps = _steps_back(frames, frame, direction, bank.stride)
        valid = (frames != EMPTY) & (steps >= 0) & (steps < RECENT)
        return valid, jnp.where(valid, steps, 0)

    num_pointers = bank.pointers.shape[1]

    def is_near(frames: jax.Array) -> jax.Array:
        return (frames != EMPTY) & (age(frames) >= 1) & (age(frames) <= num_pointers)

    conditioning = bank.conditioning_frames
    exists = conditioning != EMPTY
    chosen = _closest(conditioning, frame, bank.max_conditioning)
    over_valid, over_row = recency(conditioning)
    recent_valid, recent_row = recency(bank.recent_frames)
    times = [age(conditioning), age(bank.pointer_frames)]
    near_pointers = jnp.where(chosen, age(conditioning) >= 0, is_near(conditioning))
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
            [exists & near_pointers, is_near(bank.pointer_frames)], axis=1
        ),
    )


def _steps_back(
    frames: jax.Array, frame: jax.Array, direction: jax.Array, stride: int
) -> jax.Array:
    """Return 0 for the preceding frame, 1 to 5 for the next recent ones.

    Other frames get a value outside 0 to 5. With a stride, frames 1 to 5 are multiples
    of it (sam2_base.py:553-568).
    """
    age = (frame - frames) * direction
    if stride == 1:
        return age - 1
    # The nearest multiple at least two frames back; rounded away from `frame`.
    nearest = (frame - 2 * direction) * direction // stride * stride * direction
    steps = (nearest - frames) * direction
    regular = (frames % stride == 0) & (steps >= 0)
    return jnp.where(age == 1, 0, jnp.where(regular, steps // stride + 1, RECENT))


def _closest(frames: jax.Array, frame: jax.Array, limit: int | None) -> jax.Array:
    """Select the conditioning slots, bool [n, k], that are attended to as such.

    sam2_utils.py:20-63: the nearest before `frame`, the nearest from `frame` on, then
    others by distance, `limit` in total.
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
