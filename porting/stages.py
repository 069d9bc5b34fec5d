"""Stage-by-stage comparison of both implementations.

Each function returns rows in the order of computation. Each implementation continues
from its own earlier stages, so that errors accumulate as in use.
"""

import dataclasses
import functools
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import torch

from c2g_jax.sam2 import memory, track
from c2g_jax.sam2.model import FrameFeatures, Sam2
from c2g_jax.sam2.prompts import Prompts, pad_points
from porting.compare import ERROR_BOUND, Row, compare, compare_masks, worst
from porting.pair import Clip, Pair
from porting.reference import float32_memory, to_numpy
from porting.runs import OurSession, ReferenceSession, Run, VideoPrompt, run_reference

STRIDES = (4, 8, 16, 32)


@functools.partial(jax.jit, static_argnums=(1, 2))
def _position_embedding(model: Sam2, height: int, width: int) -> jax.Array:
    return model.image_encoder.trunk.position_embedding(height, width)


def image_rows(clip: Clip, frame: int = 0) -> list[Row]:
    """Compare patch and position embedding, each trunk stage and each neck level."""
    encoder = clip.pair.reference.image_encoder
    features, (patches, stages, levels) = clip.encode(frame)
    position = _position_embedding(clip.pair.ours, *patches.shape[1:3])
    captured: dict[str, object] = {}
    parts = {
        "patches": encoder.trunk.patch_embed,
        "stages": encoder.trunk,
        "levels": encoder.neck,
    }
    hooks = [
        part.register_forward_hook(
            lambda _, __, output, name=name: captured.__setitem__(name, output)
        )
        for name, part in parts.items()
    ]
    clip.reference_features.pop(frame, None)  # so that the encoder runs, with the hooks
    high, middle, embed = clip.reference_levels(frame)
    for hook in hooks:
        hook.remove()
    with torch.inference_mode():
        reference_position = encoder.trunk._get_pos_embed(patches.shape[1:3])
    reference_levels = captured["levels"][0]
    rows = [
        # The reference's patch embedding is NHWC already.
        compare("patch embedding", patches, captured["patches"].numpy()),
        compare("position embedding", position, reference_position[0].numpy()),
    ]
    for i, (ours, theirs) in enumerate(zip(stages, captured["stages"], strict=True)):
        rows.append(compare(f"trunk stage {i + 1}", ours, to_numpy(theirs)))
    pairs = zip(STRIDES, levels, reference_levels, strict=True)
    for stride, ours, theirs in pairs:
        rows.append(compare(f"neck level, stride {stride}", ours, to_numpy(theirs)))
    rows += [
        compare("features, stride 4", features.high_res[0], to_numpy(high)),
        compare("features, stride 8", features.high_res[1], to_numpy(middle)),
        compare("features, stride 16", features.embed, to_numpy(embed)),
    ]
    return rows


@jax.jit
def _encode_prompts(model: Sam2, prompts: Prompts):
    encoder = model.sam_prompt_encoder
    return *encoder(prompts), encoder.dense_position()


@jax.jit
def _decode(model: Sam2, features: FrameFeatures, prompts: Prompts):
    image = model.without_memory(features)
    return model.decode(image, features, prompts), track.segment(
        model, features, prompts
    )


class PointPrompt(NamedTuple):
    """A prompt of the decoder, in pixels of the model image."""

    points: np.ndarray  # [p, 2]
    labels: np.ndarray  # [p]; box corners, 2 and 3, come first
    mask_logits: np.ndarray | None = None  # [4h, 4w], mask prompt


def prompt_rows(
    clip: Clip, prompts: Sequence[PointPrompt], frame: int = 0
) -> list[Row]:
    """Compare prompt encoder and mask decoder on a frame without memory.

    Ours takes all prompts as one batch, the reference one by one.
    """
    pair = clip.pair
    batch = batch_prompts(prompts, pair.config.low_res_size)
    sparse, valid, dense, position = _encode_prompts(pair.ours, batch)
    decoded, output = _decode(pair.ours, clip.features(frame), batch)
    theirs = [_reference_prompt(clip, prompt, frame) for prompt in prompts]

    def of(name: str) -> np.ndarray:
        return np.concatenate([np.asarray(outputs[name]) for outputs in theirs])

    kept = np.asarray(sparse)[np.asarray(valid)]  # padding slots exist only in ours
    tokens = np.concatenate([np.asarray(outputs["sparse"][0]) for outputs in theirs])
    side, c = pair.config.feature_size, pair.config.d_model
    dense = np.broadcast_to(dense, (len(prompts), side, side, c))
    return [
        compare("sparse prompts", kept, tokens),
        compare("dense prompts", dense, np.moveaxis(of("dense"), 1, -1)),
        compare("dense position", position, to_numpy(theirs[0]["position"])[0]),
        compare("decoder tokens", decoded.tokens, of("tokens")),
        compare("mask logits", decoded.logits, of("masks")),
        compare("IoU", decoded.ious, of("ious")),
        compare("object score", decoded.object_score, of("score")[:, 0]),
        compare("pointer", output.obj_ptr, of("pointer")),
        compare("chosen IoU", output.iou, of("chosen_iou")),
        compare_masks("chosen mask", output.mask_logits, of("mask")[:, 0]),
    ]


def batch_prompts(prompts: Sequence[PointPrompt], side: int) -> Prompts:
    """Return the prompts as one batch of ours; `side` is that of mask logits."""
    coords, labels = pad_points([(p.points, p.labels) for p in prompts])
    has_mask = np.array([p.mask_logits is not None for p in prompts])
    if not has_mask.any():
        return Prompts(coords, labels)
    blank = np.zeros((side, side), np.float32)
    masks = [blank if p.mask_logits is None else p.mask_logits for p in prompts]
    return Prompts(coords, labels, np.stack(masks), has_mask)


@torch.inference_mode()
def _reference_prompt(clip: Clip, prompt: PointPrompt, frame: int) -> dict:
    """Run the reference's modules one by one, and its `_forward_sam_heads`."""
    reference = clip.pair.reference
    *high_res, embed = clip.reference_levels(frame)
    image = embed + reference.no_mem_embed.reshape(1, -1, 1, 1)
    given = {
        "point_coords": torch.tensor(prompt.points, dtype=torch.float32)[None],
        "point_labels": torch.tensor(prompt.labels, dtype=torch.int32)[None],
    }
    dense_prompt = None
    if prompt.mask_logits is not None:
        dense_prompt = torch.from_numpy(prompt.mask_logits[None, None])
    encoder, decoder = reference.sam_prompt_encoder, reference.sam_mask_decoder
    points = tuple(given.values())
    sparse, dense = encoder(points=points, boxes=None, masks=dense_prompt)
    position = encoder.get_dense_pe()
    masks, ious, tokens, score = decoder.predict_masks(
        image, position, sparse, dense, False, high_res
    )
    multimask = reference._use_multimask(True, given)
    _, _, chosen, mask, _, pointer, _ = reference._forward_sam_heads(
        image, given, dense_prompt, high_res, multimask
    )
    return dict(
        sparse=sparse,
        dense=dense,
        position=position,
        masks=masks,
        ious=ious,
        tokens=tokens,
        score=score,
        mask=mask,
        pointer=pointer,
        chosen_iou=chosen.max(dim=1).values,  # of several masks the best is chosen
    )


def tracking_rows(clip: Clip, prompts: Iterable[VideoPrompt], **propagate) -> list[Row]:
    """Compare a video tracked by both predictors, with float32 memory on both sides.

    Rows of pointers, scores, memory features and memory attention (for a single object,
    forward) are the worst of all frames; masks have a row for each frame, the worst of
    all objects.

    The memory of a prompted frame is encoded from its binarised mask. A logit within
    rounding of 0 may fall on either side, and one such pixel of a million changes the
    memory by 1e-4. So the prompted masks are compared first, and both sides continue
    from the reference's.
    """
    prompts = list(prompts)
    with float32_memory(), _AttentionOutputs(clip.pair) as attention:
        theirs = run_reference(clip, prompts, **propagate)
    session = OurSession(clip)
    session.prompt(prompts)
    prompted = [
        compare_masks("", session.replace_mask(*key, mask), mask)
        for key, mask in _prompted_masks(prompts, theirs).items()
    ]
    rows = [worst("prompted masks", prompted)]
    rows += run_rows(session.propagate(**propagate), theirs)
    if len({prompt.obj_id for prompt in prompts}) == 1 and not propagate:
        state, outputs = session.state, attention.outputs
        rows.insert(1, _memory_attention_row(clip, prompts, state, outputs))
    return rows


def prompt_both(
    ours: OurSession, theirs: ReferenceSession, prompts: Sequence[VideoPrompt]
) -> list[Row]:
    """Prompt one object on both sides, and compare the masks.

    Both sides continue from the reference's masks: see `tracking_rows`.
    """
    for side in (ours, theirs):
        side.prompt(prompts)
    rows = []
    for prompt in prompts:
        mask = theirs.prompted_mask(prompt.frame)
        own = ours.replace_mask(prompt.frame, prompt.obj_id, mask)
        rows.append(compare_masks(f"prompt on frame {prompt.frame}", own, mask))
    return rows


def _prompted_masks(prompts: Iterable[VideoPrompt], run: Run) -> dict:
    keys = {(prompt.frame, prompt.obj_id) for prompt in prompts}
    return {key: run[key].mask_logits for key in sorted(keys)}


def run_rows(ours: Run, theirs: Run, bound: float = ERROR_BOUND) -> list[Row]:
    """Compare two runs; ValueError where their frames or objects differ."""
    if ours.keys() != theirs.keys():
        raise ValueError(f"ours has {sorted(ours)}, the reference {sorted(theirs)}")
    both = [(key, ours[key], theirs[key]) for key in sorted(ours)]
    rows = [
        worst("memory features", (compare("", a.memory, b.memory) for _, a, b in both)),
        worst(
            "tracked pointers", (compare("", a.obj_ptr, b.obj_ptr) for _, a, b in both)
        ),
        # As one tensor: a single score near 0 has no meaningful relative error.
        compare(
            "tracked object scores",
            [a.object_score for _, a, _ in both],
            [b.object_score for _, _, b in both],
        ),
        worst(
            "tracked mask logits",
            (compare("", a.mask_logits, b.mask_logits) for _, a, b in both),
        ),
    ]
    for frame in sorted({frame for frame, _ in ours}):
        masks = [(a.masks, b.masks) for key, a, b in both if key[0] == frame]
        rows.append(
            worst(f"frame {frame}", (compare_masks("", *pair) for pair in masks))
        )
    return [dataclasses.replace(row, bound=bound) for row in rows]


class _AttentionOutputs:
    """Record the outputs of the reference's memory attention, in the order of calls."""

    def __init__(self, pair: Pair):
        self._module, self.outputs = pair.reference.memory_attention, []

    def __enter__(self):
        self._hook = self._module.register_forward_hook(
            lambda _, __, output: self.outputs.append(output)
        )
        return self

    def __exit__(self, *_):
        self._hook.remove()


@jax.jit
def _attend(model, features, bank, frame, num_frames):
    memories = memory.gather(bank, frame, jnp.int32(1))
    return model.with_memory(features, memories, num_frames)


def _memory_attention_row(clip: Clip, prompts, state, outputs) -> Row:
    """Compare memory attention of one object on each frame tracked forward."""
    first = min(prompt.frame for prompt in prompts)
    prompted = {prompt.frame for prompt in prompts}
    frames = [t for t in range(first, len(clip.frames)) if t not in prompted]
    rows = []
    for frame, output in zip(frames, outputs, strict=True):
        ours = _attend(
            clip.pair.ours,
            clip.features(frame),
            state.bank_before(frame, 1),
            np.int32(frame),
            np.int32(len(clip.frames)),
        )
        ours = np.asarray(ours)[:1].reshape(output.shape[0], 1, -1)
        rows.append(compare("", ours, output.numpy()))
    return worst("memory attention", rows)
