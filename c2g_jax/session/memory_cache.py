"""Memories of observations, and memory banks filled from them."""

import collections
from collections.abc import Callable, Mapping

import jax
import jax.numpy as jnp
import numpy as np

from c2g_jax.sam2 import memory
from c2g_jax.sam2.config import Sam2Config
from c2g_jax.sam2.memory import MAX_CONDITIONING, MemoryBank, bucket
from c2g_jax.session.observation_arrays import ObservationArrays
from c2g_jax.session.state_parts import Observation, TrackedObject

_BYTES = 256 << 20  # memories held on the host


@jax.jit
def latest_memory(bank: MemoryBank, frame: jax.Array) -> jax.Array:
    """Return the memories [n, h, w, m] that tracking a frame wrote to a bank."""
    slot = memory.ring_slot(frame, bank.stride)
    return jax.lax.dynamic_index_in_dim(bank.recent, slot, 1, keepdims=False)


@jax.jit
def found_memory(bank: MemoryBank, frame: jax.Array) -> jax.Array:
    """Return the memories [n, h, w, m] that a bank has of a conditioning frame.

    Those of objects without it are undefined.
    """
    place = jnp.argmax(bank.conditioning_frames == frame, axis=1)
    place = place[:, None, None, None, None]
    return jnp.take_along_axis(bank.conditioning, place, axis=1)[:, 0]


class MemoryCache:
    """The memories of observations, the latest on the host; banks filled from them.

    spilled: holds the others. encode: computes the memory [h, w, m] of an observation
    on a frame, if tracking did not.
    """

    def __init__(
        self,
        config: Sam2Config,
        spilled: ObservationArrays,
        encode: Callable[[Observation, int], np.ndarray],
    ):
        self._config, self._spilled, self._encode = config, spilled, encode
        self._held: collections.OrderedDict[Observation, np.ndarray] = (
            collections.OrderedDict()
        )

    def clear(self) -> None:
        """Forget all memories."""
        self._held.clear()
        self._spilled.clear()

    def keep(self, observation: Observation, value: np.ndarray) -> None:
        """Hold the memory [h, w, m] of an observation."""
        # A copy: a view of a row would keep the whole array.
        self._held[observation] = value = np.array(value)
        self._held.move_to_end(observation)
        most = max(64, _BYTES // value.nbytes)
        while len(self._held) > most:
            # Recalled, not encoded again, which would round differently.
            self._spilled.put(*self._held.popitem(last=False))

    def get(self, observation: Observation, frame: int) -> np.ndarray:
        """Return the memory of an observation, encoded where tracking did not."""
        if observation not in self._held:
            known = self._spilled.get(observation)
            if known is None:
                known = self._encode(observation, frame)
            self.keep(observation, known)
        self._held.move_to_end(observation)
        return self._held[observation]

    def bank(
        self,
        objects: Mapping[int, TrackedObject],
        frame: int,
        direction: int,
        num_slots: int,
    ) -> MemoryBank:
        """Return the bank with which tracking arrives at a frame: {slot: object}."""
        chosen = {
            slot: conditioning(obj, frame, direction) for slot, obj in objects.items()
        }
        k = bucket(max([1, *map(len, chosen.values())]))
        empty = jax.eval_shape(lambda: memory.empty_bank(self._config, num_slots, k))
        bank = jax.tree.map(
            lambda x: np.full(
                x.shape, memory.EMPTY if x.dtype == jnp.int32 else 0, x.dtype
            ),
            empty,
        )
        ring = bank.pointers.shape[1]
        for slot, obj in objects.items():
            for place, t in enumerate(chosen[slot]):
                found = obj.observations[t]
                bank.conditioning[slot, place] = self.get(found, t)
                bank.conditioning_pointers[slot, place] = found.pointer
                bank.conditioning_frames[slot, place] = t
            for age in range(ring, 0, -1):
                t = frame - direction * age
                found = obj.observations.get(t)
                if found is None or found.direction == 0:
                    continue
                if age <= memory.RECENT:
                    bank.recent[slot, t % memory.RECENT] = self.get(found, t)
                    bank.recent_frames[slot, t % memory.RECENT] = t
                bank.pointers[slot, t % ring] = found.pointer
                bank.pointer_frames[slot, t % ring] = t
        return bank


def conditioning(obj: TrackedObject, frame: int, direction: int) -> list[int]:
    """Return the conditioning frames of an object when tracking is at a frame.

    Prompted frames on either side; frames where the model found the object only once
    tracking has passed them.
    """
    frames = [
        t
        for t, found in obj.observations.items()
        if found.direction == 0 and (t in obj.prompts or (frame - t) * direction > 0)
    ]
    nearest = sorted(frames, key=lambda t: abs(t - frame))[:MAX_CONDITIONING]
    return sorted(nearest)


def is_crowded(obj: TrackedObject) -> bool:
    """Whether an object may have more conditioning frames than a bank holds."""
    found = sum(found.direction == 0 for found in obj.observations.values())
    return found > MAX_CONDITIONING
