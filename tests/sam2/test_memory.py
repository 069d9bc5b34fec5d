"""The memory bank against a literal reading of SAM2's own bookkeeping."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from c2g_jax.sam2 import memory
from c2g_jax.sam2.config import sam2_config

CONFIG = sam2_config("toy", 32)

push_recent = jax.jit(memory.push_recent)
push_conditioning = jax.jit(memory.push_conditioning)
gather = jax.jit(memory.gather)


def entry(frame, n):
    """A memory and a pointer with the frame index as their values, for n objects."""
    size = CONFIG.feature_size
    spatial = jnp.full((n, size, size, CONFIG.mem_dim), float(frame))
    return spatial, jnp.full((n, CONFIG.d_model), float(frame))


def read(bank, frame, direction, row=0):
    """What an object attends to: {(frame, row of tpos)} and {(frame, distance)}."""
    found = gather(bank, jnp.int32(frame), jnp.int32(direction))
    spatial = {
        (float(found.spatial[row, s, 0, 0, 0]), int(found.spatial_time[row, s]))
        for s in np.flatnonzero(found.spatial_valid[row])
    }
    pointers = {
        (float(found.pointers[row, p, 0]), float(found.pointer_time[row, p]))
        for p in np.flatnonzero(found.pointer_valid[row])
    }
    return spatial, pointers


def closest(conditioning, frame, limit):
    """sam2_utils.py:20-63 with sets: the prompted frames attended to as such."""
    if limit is None or len(conditioning) <= limit:
        return set(conditioning)
    chosen = set()
    before = [t for t in conditioning if t < frame]
    after = [t for t in conditioning if t >= frame]
    chosen |= {max(before)} if before else set()
    chosen |= {min(after)} if after else set()
    rest = sorted(conditioning - chosen, key=lambda t: (abs(t - frame), t))
    return chosen | set(rest[: limit - len(chosen)])


def literal(conditioning, tracked, frame, direction, stride=1, limit=None):
    """The same from sets of frames, as sam2_base.py:530-640 does with dicts."""
    chosen = closest(conditioning, frame, limit)
    others = (tracked - conditioning) | (conditioning - chosen)
    spatial = {(t, 6) for t in chosen}
    for t_pos in range(1, 7):
        behind = 7 - t_pos
        if behind == 1:
            t = frame - direction
        elif direction > 0:
            t = (frame - 2) // stride * stride - (behind - 2) * stride
        else:
            t = -(-(frame + 2) // stride) * stride + (behind - 2) * stride
        if t in others:
            spatial.add((t, behind - 1))
    pointers = {
        (t, (frame - t) * direction)
        for t in chosen
        if (t <= frame if direction > 0 else t >= frame)
    }
    for distance in range(1, 16):
        t = frame - direction * distance
        if t in others:
            pointers.add((t, distance))
    return spatial, pointers


@settings(max_examples=60, deadline=None)
@given(
    prompted=st.sets(st.integers(0, 25), min_size=1, max_size=4),
    length=st.integers(0, 26),
    skipped=st.sets(st.integers(0, 25), max_size=5),
    stride=st.sampled_from([1, 1, 2, 3]),
    limit=st.sampled_from([None, None, 2, 3]),
)
def test_forward_and_reverse_find_what_the_literal_reading_finds(
    prompted, length, skipped, stride, limit
):
    for direction in (1, -1):
        order = range(length) if direction > 0 else range(25, 25 - length, -1)
        bank = memory.empty_bank(CONFIG, 1, 4, stride, limit)
        everyone = jnp.ones(1, bool)
        for t in prompted:
            bank = push_conditioning(bank, *entry(t, 1), jnp.int32(t), everyone)
        tracked = set()
        for t in order:
            if t in prompted or t in skipped:
                continue
            bank = push_recent(bank, *entry(t, 1), jnp.int32(t), everyone)
            tracked.add(t)
        now = length if direction > 0 else 25 - length
        wanted = literal(prompted, tracked, now, direction, stride, limit)
        assert read(bank, now, direction) == wanted


def test_objects_of_one_batch_are_of_different_age():
    bank = memory.empty_bank(CONFIG, 2, 1)
    bank = push_conditioning(bank, *entry(0, 2), jnp.int32(0), jnp.array([True, False]))
    bank = push_recent(bank, *entry(1, 2), jnp.int32(1), jnp.array([True, False]))
    bank = push_conditioning(bank, *entry(2, 2), jnp.int32(2), jnp.array([False, True]))
    assert read(bank, 3, 1, row=0) == ({(0, 6), (1, 1)}, {(0, 3), (1, 2)})
    assert read(bank, 3, 1, row=1) == ({(2, 6)}, {(2, 1)})


def test_a_prompt_takes_its_frame_out_of_the_rings():
    bank = memory.empty_bank(CONFIG, 1, 1)
    for t in range(3):
        bank = push_recent(bank, *entry(t, 1), jnp.int32(t), jnp.ones(1, bool))
    bank = push_conditioning(bank, *entry(1, 1), jnp.int32(1), jnp.ones(1, bool))
    spatial, pointers = read(bank, 3, 1)
    assert spatial == {(1, 6), (0, 2), (2, 0)}
    assert pointers == {(1, 2), (0, 3), (2, 1)}


@pytest.mark.parametrize(
    ("frames", "kept"),
    [((0, 5, 0), {0, 5}), ((0, 5, 9), {5, 9}), ((9, 5, 0), {0, 5})],
    ids=["again", "furthest_goes", "furthest_goes_back"],
)
def test_conditioning_slots_are_reused(frames, kept):
    bank = memory.empty_bank(CONFIG, 1, 2)
    for t in frames:
        bank = push_conditioning(bank, *entry(t, 1), jnp.int32(t), jnp.ones(1, bool))
    assert set(np.asarray(bank.conditioning_frames[0]).tolist()) == kept


def test_growing_keeps_what_is_there():
    bank = memory.empty_bank(CONFIG, 1, 1)
    bank = push_conditioning(bank, *entry(3, 1), jnp.int32(3), jnp.ones(1, bool))
    bank = push_recent(bank, *entry(4, 1), jnp.int32(4), jnp.ones(1, bool))
    grown = memory.grow(bank, 4, 2)
    assert grown.num_objects == 4
    assert grown.num_conditioning == 2
    assert read(grown, 5, 1) == read(bank, 5, 1)
    assert read(grown, 5, 1, row=3) == (set(), set())


def test_forgetting_empties_one_object_alone():
    bank = memory.empty_bank(CONFIG, 2, 1)
    everyone = jnp.ones(2, bool)
    bank = push_conditioning(bank, *entry(0, 2), jnp.int32(0), everyone)
    bank = push_recent(bank, *entry(1, 2), jnp.int32(1), everyone)
    left = memory.forget(bank, jnp.array([True, False]))
    assert read(left, 2, 1, row=0) == (set(), set())
    assert read(left, 2, 1, row=1) == read(bank, 2, 1, row=1)


@pytest.mark.parametrize(
    ("count", "size"), [(1, 1), (2, 2), (3, 4), (8, 8), (9, 16), (17, 32)]
)
def test_buckets(count, size):
    assert memory.bucket(count) == size
