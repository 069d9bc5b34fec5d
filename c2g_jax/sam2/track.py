"""Segment and track: pure functions of the model, the memory bank and one frame.

The steps of sam2/modeling/sam2_base.py. Every function takes the features of one frame
(b = 1) and a batch of objects, has static shapes and no host round trip: it runs under
`jax.jit` and inside `jax.lax.scan`.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, UInt8

from c2g_jax.sam2 import memory
from c2g_jax.sam2.mask_decoder import choose_mask
from c2g_jax.sam2.masks import NO_OBJECT, resize_logits, shrink_masks
from c2g_jax.sam2.memory import MemoryBank
from c2g_jax.sam2.model import FrameFeatures, Sam2, normalize_frames
from c2g_jax.sam2.prompts import Prompts, no_prompt

LONG = 1 << 20  # num_frames of a video of unknown length

_MASK_SCALE, _MASK_BIAS = 20.0, -10.0  # a mask prompt as logits: +10 and -10


class ObjectOutput(NamedTuple):
    """The model's output for one object on one frame, on the host."""

    logits: np.ndarray  # float32 [4h, 4w]
    iou: float  # predicted
    object_score: float
    pointer: np.ndarray  # float32 [c]


class Segmentation(NamedTuple):
    """Masks of n objects on one frame."""

    mask_logits: Float[Array, "n 4h 4w"]  # all NO_OBJECT if absent
    iou: Float[Array, "n"]  # predicted
    object_score: Float[Array, "n"]  # a logit: above 0 the object is in view
    obj_ptr: Float[Array, "n c"]
    # Multimask candidates; None where a caller has dropped them.
    candidates: Float[Array, "n 3 4h 4w"] | None
    candidate_ious: Float[Array, "n 3"] | None

    def without_candidates(self) -> "Segmentation":
        """Return the chosen masks alone: the candidates are large."""
        return self._replace(candidates=None, candidate_ious=None)

    def object_output(self, row: int) -> ObjectOutput:
        """Copy the output of one object to the host."""
        rows = jax.device_get(self.without_candidates())
        return ObjectOutput(
            rows.mask_logits[row],
            float(rows.iou[row]),
            float(rows.object_score[row]),
            np.asarray(rows.obj_ptr[row], np.float32),
        )


@jax.jit
def encode_frame(model: Sam2, frame: UInt8[Array, "S S 3"]) -> FrameFeatures:
    """Encode one RGB frame, resized by `media.images.resize_frame`; compiled once."""
    return model.encode_image(normalize_frames(frame[None]))


def _decode(
    model: Sam2, image: jax.Array, features: FrameFeatures, prompts: Prompts
) -> Segmentation:
    """Decode masks and choose one for each object (sam2_base.py:257-418)."""
    decoded = model.decode(image, features, prompts)
    present = decoded.object_score > 0
    # Multimask for at most one point, so for tracking without a prompt too.
    chosen = choose_mask(decoded, prompts.num_points <= 1, model.config)

    def hide(logits: jax.Array) -> jax.Array:
        shown = present.reshape(-1, *[1] * (logits.ndim - 1))
        return jnp.where(shown, logits, NO_OBJECT)

    return Segmentation(
        mask_logits=hide(chosen.logits),
        iou=chosen.iou,
        object_score=decoded.object_score,
        obj_ptr=model.pointer(chosen, present),
        candidates=hide(decoded.logits[:, 1:]),
        candidate_ious=decoded.ious[:, 1:],
    )


def segment(model: Sam2, features: FrameFeatures, prompts: Prompts) -> Segmentation:
    """Segment n prompted objects on a frame, without memory."""
    return _decode(model, model.without_memory(features), features, prompts)


def segment_mask(
    model: Sam2,
    features: FrameFeatures,
    masks: Bool[Array, "n S S"] | Float[Array, "n S S"],
) -> Segmentation:
    """Segment n objects by mask prompts: the masks are the output.

    The decoder only computes the object pointer. An object is in view if its mask is
    not empty (sam2_base.py:420-459).
    """
    masks = masks.astype(jnp.float32)
    n, size = masks.shape[0], model.config.low_res_size
    logits = shrink_masks(masks * _MASK_SCALE + _MASK_BIAS, size, size)
    prompt = model.mask_downsample(masks[..., None])[..., 0]
    prompts = no_prompt(n)._replace(mask_logits=prompt)
    decoded = model.decode(features.embed, features, prompts)
    single = choose_mask(decoded, jnp.zeros(n, bool), model.config)
    present = jnp.any(masks > 0, axis=(1, 2))
    pointer = model.pointer(single, decoded.object_score > 0)
    return Segmentation(
        mask_logits=logits,
        iou=jnp.ones(n, jnp.float32),
        object_score=jnp.where(present, -_MASK_BIAS, _MASK_BIAS),
        obj_ptr=model.absent_pointer(pointer, present),
        candidates=jnp.broadcast_to(logits[:, None], (n, 3, size, size)),
        candidate_ious=jnp.ones((n, 3), jnp.float32),
    )


def correct(
    model: Sam2,
    bank: MemoryBank,
    features: FrameFeatures,
    frame: Int[Array, ""],
    prompts: Prompts | None = None,
    initial: Bool[Array, "n"] | None = None,
    num_frames: Int[Array, ""] | int = LONG,
    direction: Int[Array, ""] | int = 1,
) -> Segmentation:
    """Segment n objects on a frame from their memories and, if given, prompts.

    Objects in `initial` are segmented without memory. `frame` is the frame index,
    `num_frames` the length of the video, if known; `direction` is 1 forward in time,
    -1 in reverse.
    """
    memories = memory.gather(bank, frame, direction)
    image = model.with_memory(features, memories, num_frames)
    if initial is not None:
        blank = model.without_memory(features)
        image = jnp.where(initial[:, None, None, None], blank, image)
    prompts = no_prompt(bank.num_objects) if prompts is None else prompts
    return _decode(model, image, features, prompts)


def remember(
    model: Sam2,
    bank: MemoryBank,
    features: FrameFeatures,
    segmentation: Segmentation,
    frame: Int[Array, ""],
    where: Bool[Array, "n"],
    prompted: Bool[Array, "n"],
) -> MemoryBank:
    """Encode the frame's memory and write it to the bank, for the objects in `where`.

    For objects in `prompted`, prompted on this frame, the mask is binarised and the
    memory goes to a conditioning slot; for the others to the ring.
    """
    size = model.config.image_size
    memories = model.encode_memory(
        features,
        resize_logits(segmentation.mask_logits, size, size),
        segmentation.object_score > 0,
        prompted,
    )
    entry = (memories, segmentation.obj_ptr, frame)
    bank = memory.push_recent(bank, *entry, where & ~prompted)
    return memory.push_conditioning(bank, *entry, where & prompted)


def track_step(
    model: Sam2,
    bank: MemoryBank,
    features: FrameFeatures,
    frame: Int[Array, ""],
    active: Bool[Array, "n"],
    prompts: Prompts | None = None,
    num_frames: Int[Array, ""] | int = LONG,
    direction: Int[Array, ""] | int = 1,
) -> tuple[MemoryBank, Segmentation]:
    """Track one frame: segment n objects with their memories, then remember it.

    Outputs of objects outside `active` are undefined and not remembered. `prompts` are
    the prompts on this frame, if any. Prompted objects are segmented without memory, as
    upstream does on frames that were not tracked before. The remaining arguments are
    those of `correct`.
    """
    prompted, initial = jnp.zeros(bank.num_objects, bool), None
    if prompts is not None:
        prompted = prompts.num_points > 0
        if prompts.has_mask is not None:
            prompted = prompted | prompts.has_mask
        initial = prompted
    output = correct(
        model, bank, features, frame, prompts, initial, num_frames, direction
    )
    bank = remember(model, bank, features, output, frame, active, prompted)
    return bank, output
