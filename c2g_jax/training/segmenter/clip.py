"""The forward pass of SAM2.1 on one training clip: prompts, corrections, memory.

The first frame is prompted and the others are tracked, as `recipe` has it. Gradients
flow through memory: a frame's memory has gradients from all later frames.
"""

import functools
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, PRNGKeyArray

from c2g_jax.click2graph.losses import mask_iou
from c2g_jax.data.masks import cell_shares, object_masks
from c2g_jax.from_scratch.aid_losses import feature_losses, memory_loss, pointer_loss
from c2g_jax.sam2.mask_decoder import DecodedMasks
from c2g_jax.sam2.masks import NO_OBJECT, resize_logits
from c2g_jax.sam2.model import FrameFeatures, Sam2, normalize_frames
from c2g_jax.sam2.prompts import Prompts, no_prompt
from c2g_jax.sam2.track import LONG, segment_mask
from c2g_jax.training.segmenter import clicks
from c2g_jax.training.segmenter.clip_memory import (
    FrameOutput,
    clip_memories,
    no_memory,
    remember,
)
from c2g_jax.training.segmenter.loss import (
    FrameTargets,
    LossSums,
    add_sums,
    frame_targets,
    mask_loss_sums,
    zero_sums,
)
from c2g_jax.training.segmenter.recipe import Plan, Recipe
from c2g_jax.types import ABSENT


class _Frame(NamedTuple):
    """What tracking frame t of a clip is given."""

    t: jax.Array  # int
    before: FrameFeatures  # of frame t - 1
    features: FrameFeatures
    targets: FrameTargets
    holds: jax.Array  # bool [n, n]
    corrected: jax.Array  # bool
    key: PRNGKeyArray


def clip_sums(
    recipe: Recipe,
    model: Sam2,
    clip: dict[str, jax.Array],
    plan: Plan,
    key: PRNGKeyArray,
    train: bool = True,
) -> tuple[LossSums, dict[str, jax.Array]]:
    """Return the summed mask losses of one clip of t frames, and named terms to log.

    `clip` is a clip of the task "segments" (`data.clips`). Objects that are not in view
    on the first frame, which can be after reversal, are ignored. The named terms are
    the auxiliary losses (`from_scratch.aid_losses`) and IoUs.
    """
    config, length = model.config, clip["frames"].shape[0]
    keys = jax.random.split(key, length + 2)
    if train and length > 1:
        clip = _reversed(clip, jax.random.uniform(keys[-1]) < recipe.reverse)
    masks = object_masks(clip["segments"], clip["objects"])
    targets = frame_targets(masks, recipe.loss.mask_size, config.low_res_size)
    features = model.encode_image(normalize_frames(clip["frames"]))
    upscaled = model.sam_mask_decoder.upscale(
        model.without_memory(features), features.high_res
    )
    logged = feature_losses(recipe.loss, features, upscaled, clip, recipe.num_classes)
    if not recipe.prompted:
        return zero_sums(), logged
    start, here = features.frame(0), FrameTargets(*(x[0] for x in targets))
    valid = here.present
    prompts = clicks.first_prompts(
        keys[-2], here.masks, recipe.boxes, 2 + recipe.corrections
    )

    def by_prompts() -> tuple[FrameOutput, LossSums, jax.Array]:
        image = model.without_memory(start)
        return _decode_frame(
            recipe,
            model,
            image,
            start,
            prompts,
            here,
            valid,
            plan.corrected[0],
            keys[0],
        )

    def relation_loss(
        output: FrameOutput, targets: FrameTargets, holds: jax.Array
    ) -> tuple[jax.Array, jax.Array]:
        seen = valid & targets.present & output.present
        return pointer_loss(output.obj_ptr, holds, seen)

    holds = jnp.moveaxis(clip["holds"], 2, 0)
    if length == 1:
        output, sums, iou = by_prompts()
        logged["relations"] = _ratio(*relation_loss(output, here, holds[0]))
        return sums, logged | {"first_iou": _mean(iou, valid)}

    def by_masks() -> tuple[FrameOutput, LossSums, jax.Array]:
        masked = segment_mask(model, start, here.masks)
        output = FrameOutput(masked.mask_logits, here.present, masked.obj_ptr)
        return output, zero_sums(), jnp.ones_like(masked.iou)

    if recipe.mask_prompts and train:
        output, sums, iou = jax.lax.cond(plan.from_masks, by_masks, by_prompts)
    else:
        output, sums, iou = by_prompts()
    conditioning = plan.corrected.at[0].set(True)

    def track(carry, frame: _Frame, slots: int):
        memory, output = carry
        memory = remember(model, memory, frame.t - 1, frame.before, output)
        known = jax.tree.map(lambda x: x[:, :slots], memory)
        image = model.with_memory(
            frame.features,
            clip_memories(known, frame.t, conditioning, config.max_obj_ptrs),
            LONG,
        )
        output, sums, iou = _decode_frame(
            recipe,
            model,
            image,
            frame.features,
            None,
            frame.targets,
            valid,
            frame.corrected,
            frame.key,
        )
        shares = cell_shares(frame.targets.coarse, config.feature_size)
        placed = memory_loss(image, shares, valid & frame.targets.present)
        related = relation_loss(output, frame.targets, frame.holds)
        return (memory, output), (sums, iou, placed, related)

    apart = jax.tree.map(lambda x: x[:, None], features)
    frames = _Frame(
        jnp.arange(1, length),
        jax.tree.map(lambda x: x[:-1], apart),
        jax.tree.map(lambda x: x[1:], apart),
        FrameTargets(*(x[1:] for x in targets)),
        holds[1:],
        plan.corrected[1:],
        keys[1:length],
    )
    related = relation_loss(output, here, holds[0])
    carry = no_memory(model, output, length - 1), output
    if config.fused:
        step = functools.partial(track, slots=length - 1)
        _, each = jax.lax.scan(_saving(recipe, step), carry, frames)
    else:
        # Not a scan: frame t attends to t memories, on average half of what a fixed
        # size needs, and on a CPU XLA runs loop bodies on one core.
        outcomes = []
        for t in range(1, length):
            step = functools.partial(track, slots=t)
            frame = jax.tree.map(lambda x, t=t: x[t - 1], frames)
            carry, outcome = _saving(recipe, step)(carry, frame)
            outcomes.append(outcome)
        each = jax.tree.map(lambda *x: jnp.stack(x), *outcomes)
    more, ious, placed, pointed = each
    sums = add_sums(sums, jax.tree.map(lambda x: x.sum(axis=0), more))
    logged |= {
        "first_iou": _mean(iou, valid),
        "tracked_iou": _mean(ious, valid & targets.present[1:]),
        "places": _ratio(*(x.sum() for x in placed)),
        "relations": _ratio(
            *(x + y.sum() for x, y in zip(related, pointed, strict=True))
        ),
    }
    return sums, logged


def _saving(recipe: Recipe, step: Callable) -> Callable:
    """Return the step of a frame, recomputed in the backward pass if so configured."""
    return jax.checkpoint(step) if recipe.remat else step


def _reversed(clip: dict[str, jax.Array], backward: jax.Array) -> dict[str, jax.Array]:
    """Return the clip, its frames reversed in time if `backward`."""
    time = dict(frames=0, segments=0, holds=2)
    return clip | {
        name: jnp.where(backward, jnp.flip(clip[name], axis), clip[name])
        for name, axis in time.items()
    }


def _decode_frame(
    recipe: Recipe,
    model: Sam2,
    image: jax.Array,
    features: FrameFeatures,
    prompts: Prompts | None,
    targets: FrameTargets,
    valid: Bool[Array, "n"],
    corrected: Bool[Array, ""],
    key: PRNGKeyArray,
) -> tuple[FrameOutput, LossSums, Array]:
    """Decode a frame, and correct it by clicks if `corrected`.

    Without `prompts` the frame is tracked. Returns the prediction after all clicks, the
    losses of all decoder passes, and the IoU of the first one [n].
    """
    n, size = valid.shape[0], model.config.image_size
    keys = jax.random.split(key, max(recipe.corrections, 1))
    # Clicks come after the prompt's slots; a tracked frame has no prompt.
    first = no_prompt(n) if prompts is None else prompts
    slots = 0 if prompts is None else 2

    def decode(prompts: Prompts) -> tuple[DecodedMasks, jax.Array, jax.Array, LossSums]:
        decoded = model.decode(image, features, prompts)
        ambiguous = prompts.num_points <= 1
        best = 1 + jnp.argmax(decoded.ious[:, 1:], axis=1)
        index = jnp.where(ambiguous, best, 0)
        sums = mask_loss_sums(recipe.loss, decoded, ambiguous, targets, valid)
        logits = decoded.logits[jnp.arange(n), index]
        token = decoded.tokens[jnp.arange(n), index]
        return logits, token, decoded.object_score, sums

    logits, token, score, sums = decode(first)
    seen = resize_logits(logits, recipe.loss.mask_size, recipe.loss.mask_size)
    iou = mask_iou(seen, targets.shares)

    def click(logits, token, score, sums):
        if prompts is None:
            given = Prompts(
                jnp.zeros((n, recipe.corrections, 2)),
                jnp.full((n, recipe.corrections), ABSENT),
            )
        else:
            given = prompts

        def turn(carry, key_and_slot):
            given, logits, token, score, sums = carry
            key, slot = key_and_slot
            wrong = _hide_absent(logits, _is_present(recipe, targets, score))
            point, label = clicks.correction(
                key, targets.masks, resize_logits(wrong, size, size) > 0
            )
            given = clicks.add_point(given, slot, point, label)
            given = given._replace(mask_logits=logits)
            logits, token, score, more = decode(given)
            return (given, logits, token, score, add_sums(sums, more)), None

        # As a loop it compiles in a fraction of the time; a CPU runs it on one core.
        turns = (keys[: recipe.corrections], slots + jnp.arange(recipe.corrections))
        given = given._replace(mask_logits=logits)
        unroll = 1 if model.config.fused else recipe.corrections
        carry = (given, logits, token, score, sums)
        carry, _ = jax.lax.scan(turn, carry, turns, unroll=unroll)
        return carry[1:]

    if recipe.corrections:
        logits, token, score, sums = jax.lax.cond(
            corrected, click, lambda *x: x, logits, token, score, sums
        )
    present = _is_present(recipe, targets, score)
    pointer = model.absent_pointer(model.obj_ptr_proj(token), present)
    return FrameOutput(_hide_absent(logits, present), present, pointer), sums, iou


def _is_present(
    recipe: Recipe, targets: FrameTargets, score: Array
) -> Bool[Array, "n"]:
    return targets.present if recipe.true_presence else score > 0


def _hide_absent(logits: Array, present: Array) -> Array:
    return jnp.where(present[:, None, None], logits, NO_OBJECT)


def _mean(values: Array, where: Array) -> Array:
    return _ratio(jnp.sum(values * where), jnp.sum(where))


def _ratio(total: Array, count: Array) -> Array:
    return total / jnp.maximum(count, 1)
