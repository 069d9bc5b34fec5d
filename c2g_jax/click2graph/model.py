"""Click2Graph: SAM2.1, DIDM and SCH in one, and what they compute on a frame.

The functions here run on the device, know no video and decide nothing: they are
compiled once per number of slots and shared by all models of one shape. What follows
a video is `tracking`.
"""

from dataclasses import dataclass
from typing import NamedTuple

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Bool, Float, Int

from c2g_jax.click2graph.didm import Didm, DidmConfig, discover
from c2g_jax.click2graph.pooling import pool_mask
from c2g_jax.click2graph.sch import BestTriplet, Sch, SchConfig, best_triplets
from c2g_jax.sam2 import memory, track
from c2g_jax.sam2.config import Sam2Config
from c2g_jax.sam2.masks import NO_OBJECT
from c2g_jax.sam2.memory import MemoryBank
from c2g_jax.sam2.model import FrameFeatures, Sam2
from c2g_jax.sam2.prompts import INSIDE, Prompts
from c2g_jax.sam2.track import Segmentation
from c2g_jax.types import TrackRules
from c2g_jax.vocabulary import Vocabulary, load_vocabulary


@dataclass(frozen=True)
class Click2GraphConfig:
    """The three models, the names they speak, and how objects are followed."""

    sam2: Sam2Config
    didm: DidmConfig
    sch: SchConfig
    vocabulary: Vocabulary
    rules: TrackRules
    # DIDM looks on every k-th frame from a subject's prompt on; 0: where prompted only.
    discover_every: int = 1


def click2graph_config(
    sam2: Sam2Config,
    vocabulary: Vocabulary | None = None,
    rules: TrackRules | None = None,
    discover_every: int = 1,
) -> Click2GraphConfig:
    """The paper's DIDM and SCH at the width of a SAM2.1, for a vocabulary's names."""
    vocabulary = vocabulary or load_vocabulary()
    return Click2GraphConfig(
        sam2,
        DidmConfig(d_model=sam2.d_model),
        SchConfig(
            d_model=sam2.d_model,
            num_objects=len(vocabulary.objects),
            num_predicates=len(vocabulary.predicates),
        ),
        vocabulary,
        rules or TrackRules(),
        discover_every,
    )


class Click2Graph(nnx.Module):
    """Holds the parameters `sam2.*`, `didm.*` and `sch.*`; see `tracking` for use."""

    def __init__(self, config: Click2GraphConfig, *, rngs: nnx.Rngs):
        self.config = config
        self.sam2 = Sam2(config.sam2, rngs=rngs)
        self.didm = Didm(config.didm, rngs=rngs)
        self.sch = Sch(config.sch, rngs=rngs)


class Scene(NamedTuple):
    """A frame as n slots and the q queries of s subjects show it, r = n + s * q rows.

    Rows of slots come first, then the queries, subject by subject. On a frame where
    DIDM does not look there are none of those, and no points.
    """

    points: jax.Array | None  # float32 [s, q, 2], (x, y) in [0, 1]
    rows: Segmentation  # r masks, without candidates
    area: jax.Array  # float32 [r], pixels of the masks
    iou: jax.Array  # float32 [r, r], overlaps of the masks
    triplets: BestTriplet  # [r], each row as the object of its own subject
    pooled: jax.Array | None = None  # float32 [r, c], the features under the masks


def segment_points(
    sam2: Sam2, features: FrameFeatures, points: Float[Array, "n 2"]
) -> Segmentation:
    """One object under each point (x, y) in [0, 1] of a frame, without memory.

    Differentiable in the points. SAM2 counts pixels by their corners and looks at
    their centres, hence the half pixel.
    """
    coords = points * sam2.config.image_size - 0.5
    labels = jnp.full((points.shape[0], 1), INSIDE, jnp.int32)
    return track.segment(sam2, features, Prompts(coords[:, None], labels))


@jax.jit
def follow(
    sam2: Sam2,
    bank: MemoryBank,
    features: FrameFeatures,
    frame: Int[Array, ""],
    active: Bool[Array, "n"],
    num_frames: Int[Array, ""],
    direction: Int[Array, ""] | int = 1,
) -> tuple[MemoryBank, Segmentation]:
    """Track the slots in `active` to this frame, each with its own memory.

    `direction` is 1 forward in time, -1 in reverse.
    """
    return track.track_step(
        sam2,
        bank,
        features,
        frame,
        active,
        num_frames=num_frames,
        direction=direction,
    )


@jax.jit
def apply_prompts(
    sam2: Sam2,
    features: FrameFeatures,
    answer: Segmentation | None,
    prompts: Prompts,
    masks: Float[Array, "n S S"] | None,
    by_points: Bool[Array, "n"],
    by_mask: Bool[Array, "n"],
) -> Segmentation:
    """`answer` with what people say of some slots; without memory, as upstream."""
    prompted = track.segment(sam2, features, prompts)
    answer = prompted if answer is None else _choose(by_points, prompted, answer)
    if masks is None:
        return answer
    return _choose(by_mask, track.segment_mask(sam2, features, masks), answer)


@jax.jit
def look(
    model: tuple[Sam2, Didm, Sch],
    features: FrameFeatures,
    answer: Segmentation,
    subjects: Int[Array, "s"],
    owner: Int[Array, "n"],
) -> Scene:
    """Ask DIDM what interacts with the subjects, segment that, and name all pairs.

    `subjects` are the slots of the subjects, `owner` the subject's slot of each slot.
    """
    sam2, didm, sch = model
    seen = answer.mask_logits[subjects] > 0
    points = discover(didm, features.embed, seen).points
    found = segment_points(sam2, features, points.reshape(-1, 2))
    return _join(sch, features, answer, subjects, owner, points, found)


@jax.jit
def look_at(
    model: tuple[Sam2, Sch],
    features: FrameFeatures,
    answer: Segmentation,
    subjects: Int[Array, "s"],
    owner: Int[Array, "n"],
    points: Float[Array, "s q 2"],
) -> Scene:
    """As `look`, at points (x, y) in [0, 1] that another than DIDM chose.

    Where a point is nan there is none, and its mask is empty.
    """
    sam2, sch = model
    flat = points.reshape(-1, 2)
    there = ~jnp.isnan(flat).any(axis=1)
    found = segment_points(sam2, features, jnp.where(there[:, None], flat, 0.5))
    hidden = jnp.where(there[:, None, None], found.mask_logits, NO_OBJECT)
    found = found._replace(mask_logits=hidden)
    return _join(sch, features, answer, subjects, owner, points, found)


@jax.jit
def name(
    sch: Sch, features: FrameFeatures, answer: Segmentation, owner: Int[Array, "n"]
) -> Scene:
    """Name the pairs of a frame on which DIDM does not look."""
    return _name(sch, features, None, _bare(answer), owner)


@jax.jit
def pick(rows: Segmentation, source: Int[Array, "n"]) -> Segmentation:
    """A row for each slot; apart from `remember`, which so knows of slots alone."""
    return jax.tree.map(lambda x: x[source], rows)


@jax.jit
def remember(
    sam2: Sam2,
    bank: MemoryBank,
    features: FrameFeatures,
    answer: Segmentation,
    frame: Int[Array, ""],
    where: Bool[Array, "n"],
    fresh: Bool[Array, "n"],
) -> MemoryBank:
    """Write `answer` to the slots in `where`, as prompted on this frame.

    Those in `fresh` begin here: what their slots held before is forgotten.
    """
    bank = memory.forget(bank, fresh)
    return track.remember(sam2, bank, features, answer, frame, where, where)


def mask_ious(masks: Bool[Array, "r h w"]) -> tuple[jax.Array, jax.Array]:
    """Areas [r] and overlaps [r, r] of masks; 0 between two empty ones."""
    flat = masks.reshape(masks.shape[0], -1).astype(jnp.float32)
    # Counts of pixels: exact in float32, whatever the precision of the factors.
    both = jnp.einsum("ap,bp->ab", flat, flat)
    area = jnp.sum(flat, axis=1)
    union = area[:, None] + area - both
    return area, both / jnp.maximum(union, 1.0)


def _join(
    sch: Sch,
    features: FrameFeatures,
    answer: Segmentation,
    subjects: jax.Array,
    owner: jax.Array,
    points: jax.Array,
    found: Segmentation,
) -> Scene:
    rows = jax.tree.map(lambda *x: jnp.concatenate(x), _bare(answer), _bare(found))
    finders = jnp.repeat(subjects, points.shape[1])
    return _name(sch, features, points, rows, jnp.concatenate([owner, finders]))


def _name(
    sch: Sch,
    features: FrameFeatures,
    points: jax.Array | None,
    rows: Segmentation,
    owner: jax.Array,
) -> Scene:
    masks = rows.mask_logits > 0
    area, iou = mask_ious(masks)
    pooled = pool_mask(features.embed, masks)
    logits = sch(pooled[owner], pooled, rows.obj_ptr[owner], rows.obj_ptr)
    return Scene(points, rows, area, iou, best_triplets(logits), pooled)


def _choose(where: jax.Array, one: Segmentation, other: Segmentation) -> Segmentation:
    def pick(a: jax.Array, b: jax.Array) -> jax.Array:
        return jnp.where(where.reshape(-1, *[1] * (a.ndim - 1)), a, b)

    return jax.tree.map(pick, one, other)


def _bare(answer: Segmentation) -> Segmentation:
    return answer._replace(candidates=None, candidate_ious=None)
