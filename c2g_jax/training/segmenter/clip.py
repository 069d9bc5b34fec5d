"""The forward pass of SAM2.1 on one training clip: prompts, corrections, memory.

The first frame is prompted and the others are tracked, as `recipe` has it. Gradients
flow through memory: a frame's memory has gradients from all later frames.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, PRNGKeyArray

from c2g_jax.click2graph.losses import mask_iou
from c2g_jax.data.masks import cell_shares, object_masks
from c2g_jax.from_scratch.aid_losses import feature_losses, memory_loss, pointer_loss
from c2g_jax.sam2.mask_decoder import DecodedMasks
from c2g_jax.sam2.masks import NO_OBJECT, resize_logits
from c2g_jax.sam2.memory import RECENT, Memories
from c2g_jax.sam2.model import FrameFeatures, Sam2, normalize_frames
from c2g_jax.sam2.prompts import Prompts, no_prompt
from c2g_jax.sam2.track import LONG, segment_mask
from c2g_jax.training.segmenter import clicks
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


class FrameOutput(NamedTuple):
    """The final prediction for n objects on a frame, which memory encodes."""

    mask_logits: jax.Array  # float32 [n, 4h, 4w]
    present: jax.Array  # bool [n]
    obj_ptr: jax.Array  # [n, c]


class ClipMemory(NamedTuple):
    """Memories of all frames so far; clips are short, so none is overwritten."""

    spatial: tuple[jax.Array, ...]  # each [n, h, w, m]
    pointers: tuple[jax.Array, ...]  # each [n, c]


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
    logged = feature_losses(recipe.loss, features, clip, recipe.num_classes)
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

    def relation_loss(output: FrameOutput, t: int) -> tuple[jax.Array, jax.Array]:
        seen = valid & targets.present[t] & output.present
        return pointer_loss(output.obj_ptr, clip["holds"][:, :, t], seen)

    if length == 1:
        output, sums, iou = by_prompts()
        logged["relations"] = _ratio(*relation_loss(output, 0))
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

    def track(last, now, before, memory, targets, corrected, key):
        memory = _remember(model, memory, last, before)
        image = model.with_memory(
            now, clip_memories(memory, conditioning, config.max_obj_ptrs), LONG
        )
        outcome = _decode_frame(
            recipe, model, image, now, None, targets, valid, corrected, key
        )
        shares = cell_shares(targets.coarse, config.feature_size)
        return memory, outcome, memory_loss(image, shares, valid & targets.present)

    if recipe.remat:
        track = jax.checkpoint(track)
    # Unrolled, not a scan: frame t attends to t memories, on average half of what a
    # fixed size needs, and on a CPU XLA runs loop bodies on one core.
    memory, ious, memory_sums = ClipMemory((), ()), [], []
    pointer_sums = [relation_loss(output, 0)]
    for t in range(1, length):
        here = FrameTargets(*(x[t] for x in targets))
        last, now = features.frame(t - 1), features.frame(t)
        memory, (output, more, tracked), placed = track(
            last, now, output, memory, here, plan.corrected[t], keys[t]
        )
        sums = add_sums(sums, more)
        ious.append(tracked)
        memory_sums.append(placed)
        pointer_sums.append(relation_loss(output, t))
    seen = valid & targets.present[1:]
    logged |= {
        "first_iou": _mean(iou, valid),
        "tracked_iou": _mean(jnp.stack(ious), seen),
        "places": _ratio(*map(sum, zip(*memory_sums, strict=True))),
        "relations": _ratio(*map(sum, zip(*pointer_sums, strict=True))),
    }
    return sums, logged


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


def _remember(
    model: Sam2, memory: ClipMemory, features: FrameFeatures, output: FrameOutput
) -> ClipMemory:
    """Append a frame. Masks are not binarised in training (sam2_base.py:700)."""
    size = model.config.image_size
    soft = jnp.zeros_like(output.present)
    spatial = model.encode_memory(
        features, resize_logits(output.mask_logits, size, size), output.present, soft
    )
    return ClipMemory((*memory.spatial, spatial), (*memory.pointers, output.obj_ptr))


def clip_memories(
    memory: ClipMemory, conditioning: Bool[Array, "t"], max_pointers: int
) -> Memories:
    """Return what the next frame attends to, as `sam2.memory.gather` does in use."""
    frame, n = len(memory.pointers), memory.pointers[0].shape[0]
    prompted = conditioning[:frame]
    age = frame - jnp.arange(frame)

    def each(x: Array) -> Array:
        return jnp.broadcast_to(x, (n, frame))

    return Memories(
        spatial=jnp.stack(memory.spatial, axis=1),
        spatial_time=each(jnp.where(prompted, RECENT, jnp.minimum(age, RECENT) - 1)),
        spatial_valid=each(prompted | (age <= RECENT)),
        pointers=jnp.stack(memory.pointers, axis=1),
        pointer_time=each(age.astype(jnp.float32)),
        pointer_valid=each(prompted | (age < max_pointers)),
    )


def _mean(values: Array, where: Array) -> Array:
    return _ratio(jnp.sum(values * where), jnp.sum(where))


def _ratio(total: Array, count: Array) -> Array:
    return total / jnp.maximum(count, 1)
