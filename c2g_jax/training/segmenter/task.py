"""The task of training SAM2.1 itself, for the training loop."""

import dataclasses

import jax
import jax.numpy as jnp

from c2g_jax.sam2.model import Sam2
from c2g_jax.training.segmenter.clip import clip_sums
from c2g_jax.training.segmenter.loss import mean_terms
from c2g_jax.training.segmenter.recipe import Recipe, draw_plan, plain_plan
from c2g_jax.types import InputError

ENCODER = "encoder"
# Never trained: the first is a constant stored with the weights, the second is unused
# in all published configurations.
_FIXED = r"(?!.*(gaussian_matrix|no_mem_pos_enc)$)"
_DECODER = (_FIXED + r"sam_(mask_decoder|prompt_encoder)\..*",)
_MEMORY = (
    r"memory_(attention|encoder)\..*",
    r"obj_ptr_(proj|tpos_proj)\..*",
    r"mask_downsample\..*",
    r"maskmem_tpos_enc|no_mem_embed|no_obj_ptr|no_obj_embed_spatial",
)
TRAINABLE = {
    "all": (_FIXED + r".*",),
    # Without prompts, by the auxiliary losses of its features.
    ENCODER: (r"image_encoder\..*", r"sam_mask_decoder\.(conv_s[01]|upscale).*"),
    "decoder": _DECODER,
    "memory": _MEMORY,
    "tracking": _DECODER + _MEMORY,  # all but the encoder
}


@dataclasses.dataclass(frozen=True)
class SegmenterTask:
    """A SAM2.1, its recipe, and regexes of the whole names that train."""

    model: Sam2
    recipe: Recipe
    trainable: tuple[str, ...] = TRAINABLE["all"]

    def loss(
        self,
        model: Sam2,
        batch: dict[str, jax.Array],
        key: jax.Array,
        clip_keys: jax.Array,
        train: bool = True,
    ) -> tuple[jax.Array, dict[str, jax.Array]]:
        """Return the mean loss of a batch's clips, and the mean of each term.

        `batch` holds clips of the task "segments" (`data.clips`); `key` draws how all
        of them are prompted, `clip_keys` the prompts of each. Without `train`, clips
        run forward from points and boxes, without corrections. The terms `first_iou`
        and `tracked_iou` are IoUs of masks, only logged.
        """
        recipe, length = self.recipe, batch["frames"].shape[1]
        plan = draw_plan(key, recipe, length) if train else plain_plan(length)

        def one(clip: dict[str, jax.Array], key: jax.Array):
            sums, logged = clip_sums(recipe, model, clip, plan, key, train)
            return mean_terms(sums) | logged

        read = ("frames", "segments", "objects", "categories", "holds")
        clips = {name: batch[name] for name in read}
        terms = jax.vmap(one)(clips, clip_keys)
        terms = jax.tree.map(jnp.mean, terms)
        weights = dataclasses.asdict(recipe.loss)
        total = sum(weights[name] * terms[name] for name in terms if name in weights)
        return total, terms


def segmenter_task(model: Sam2, recipe: Recipe, train: str) -> SegmenterTask:
    """Return the task of training "all" of a SAM2.1, or a part of `TRAINABLE`.

    Raises InputError for another `train`, or a loss.mask_size that does not fit.
    """
    if train not in TRAINABLE:
        names = ", ".join(TRAINABLE)
        raise InputError(f"train={train!r}: use one of {names}")
    least, most = model.config.low_res_size, model.config.image_size
    size = recipe.loss.mask_size
    if size < 1 or size % least or most % size:
        raise InputError(
            f"loss.mask_size={size}: use a multiple of {least} that divides {most}"
        )
    recipe = dataclasses.replace(recipe, prompted=train != ENCODER)
    return SegmenterTask(model, recipe, TRAINABLE[train])
