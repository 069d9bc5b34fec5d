"""Prompts of a frame, and outputs computed earlier, as arrays with a row per slot."""

from collections.abc import Mapping, Sequence

import jax
import numpy as np

from c2g_jax.click2graph.model import choose_rows
from c2g_jax.media.images import resize_mask
from c2g_jax.sam2.config import Sam2Config
from c2g_jax.sam2.prompts import Prompts, pad_points
from c2g_jax.sam2.track import ObjectOutput, Segmentation
from c2g_jax.tracking.state import TrackingState
from c2g_jax.types import BOX_FIRST, BOX_SECOND, Prompt


def prompt_arrays(
    state: TrackingState, prompts: Sequence[Prompt], image_size: int
) -> tuple[Prompts, np.ndarray | None, np.ndarray, np.ndarray]:
    """Return the prompts of n slots, (x, y) in pixels of the model's image.

    Points and boxes as `Prompts`; masks float32 [n, S, S] or None; bool [n], the slots
    prompted by points or a box; bool [n], those prompted by a mask.
    """
    n, slot_of = len(state.slots), state.slot_of()
    scale = image_size / np.array([state.width, state.height], np.float32)
    points = [(np.zeros((0, 2), np.float32), np.zeros(0, np.int32))] * n
    by_points, by_mask = np.zeros(n, bool), np.zeros(n, bool)
    masks = None
    for prompt in prompts:
        slot = slot_of[prompt.object_id]
        if prompt.mask is not None:
            if masks is None:
                masks = np.zeros((n, image_size, image_size), np.float32)
            masks[slot] = resize_mask(prompt.mask, image_size)
            by_mask[slot] = True
            continue
        coords, labels = prompt.points, prompt.labels
        if prompt.box is not None:
            coords = np.concatenate([prompt.box.reshape(2, 2), coords])
            labels = np.concatenate([[BOX_FIRST, BOX_SECOND], labels])
        points[slot] = (coords * scale, labels)
        by_points[slot] = True
    return Prompts(*pad_points(points)), masks, by_points, by_mask


_choose_rows = jax.jit(choose_rows)


def with_given(
    config: Sam2Config,
    state: TrackingState,
    answer: Segmentation | None,
    given: Mapping[int, ObjectOutput],
) -> Segmentation:
    """Return `answer`, or zeros if None, with the rows of given outputs replaced."""
    n, size, slot_of = len(state.slots), config.low_res_size, state.slot_of()
    shapes = [(n, size, size), (n,), (n,), (n, config.d_model)]
    rows = [np.zeros(shape, np.float32) for shape in shapes]
    for i, output in given.items():
        for row, value in zip(rows, output, strict=True):
            row[slot_of[i]] = value
    replacement = Segmentation(*rows, None, None)
    if answer is None:
        return replacement
    where = np.array([i in given for i in state.slots])
    return _choose_rows(where, replacement, answer.without_candidates())
