"""Click2Graph, the network of paper 3.2: SAM2.1 with a DIDM and an SCH.

The functions here compute one frame on the device. They are compiled once per number
of slots and shared by all models of one shape. The loop over a video is in `tracking`.
A slot is a place in the memory bank that holds one tracked subject or object.
"""

import functools
from dataclasses import dataclass, replace
from typing import NamedTuple, TypeVar

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Bool, Float, Int

from c2g_jax.click2graph.didm import Didm, DidmConfig
from c2g_jax.click2graph.geometry import mask_moments
from c2g_jax.click2graph.pooling import pool_mask
from c2g_jax.click2graph.sch import BestTriplet, Sch, SchConfig, best_triplets
from c2g_jax.click2graph.settings import (
    NARROW,
    NEUTRAL,
    RANKED,
    AdaptConfig,
    Settings,
    SpanConfig,
)
from c2g_jax.sam2 import memory, track
from c2g_jax.sam2.config import Sam2Config
from c2g_jax.sam2.masks import NO_OBJECT
from c2g_jax.sam2.memory import MemoryBank
from c2g_jax.sam2.model import FrameFeatures, Sam2
from c2g_jax.sam2.prompts import Prompts
from c2g_jax.sam2.track import Segmentation
from c2g_jax.types import INSIDE, TrackRules
from c2g_jax.vocabulary import Vocabulary, load_vocabulary

T = TypeVar("T", Segmentation, MemoryBank)


@dataclass(frozen=True)
class Click2GraphConfig:
    """Shapes of the three modules, the class names, and the tracking settings."""

    sam2: Sam2Config
    didm: DidmConfig
    sch: SchConfig
    vocabulary: Vocabulary
    rules: TrackRules
    # Run DIDM on every k-th frame from a subject's prompt on; 0: on that frame only.
    discover_every: int = 1
    settings: Settings | None = None  # None: not tuned, so that guesses are ranked
    trained: bool = True  # False: DIDM and SCH are random, and nothing is guessed

    @property
    def spans(self) -> SpanConfig:
        """How the predictions of frames become relations, unless a user says."""
        return RANKED if self.settings is None else self.settings.spans

    @property
    def adapt(self) -> AdaptConfig:
        """How corrections change the labels of others, unless a user says."""
        return NARROW if self.settings is None else self.settings.adapt


def click2graph_config(
    sam2: Sam2Config,
    vocabulary: Vocabulary | None = None,
    rules: TrackRules | None = None,
    discover_every: int = 1,
) -> Click2GraphConfig:
    """Return the paper's configuration for the width of a SAM2.1 and a vocabulary.

    The default vocabulary is OpenPVSG's.
    """
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
    """Holds the parameters `sam2.*`, `didm.*` and `sch.*`; `tracking` runs it."""

    def __init__(self, config: Click2GraphConfig, *, rngs: nnx.Rngs):
        self.config = config
        self.sam2 = Sam2(config.sam2, rngs=rngs)
        self.didm = config.didm.build(rngs=rngs)
        self.sch = config.sch.build(rngs=rngs)

    def set_settings(self, settings: Settings | None) -> None:
        """Change the settings, and with them the temperatures of SCH."""
        self.config = replace(self.config, settings=settings)
        self.sch.temperature = NEUTRAL if settings is None else settings.temperature


class Scene(NamedTuple):
    """Masks and triplets of one frame: a row each for n slots and s * q queries.

    The n slots come first, then the q queries of each of s subjects, in order:
    r = n + s * q. On a frame without DIDM there are no queries: r = n.
    """

    points: jax.Array | None  # float32 [s, q, 2], (x, y) in [0, 1]; None without DIDM
    rows: Segmentation  # r masks, without candidates
    area: jax.Array  # float32 [r], in pixels of the masks
    iou: jax.Array  # float32 [r, r], between masks
    triplets: BestTriplet  # [r], each row as the object of its subject
    pooled: jax.Array | None = None  # float32 [r, c], mask-pooled features
    moments: jax.Array | None = None  # float32 [r, 5], of `mask_moments`


def segment_points(
    sam2: Sam2, features: FrameFeatures, points: Float[Array, "n 2"]
) -> Segmentation:
    """Segment the object under each point (x, y) in [0, 1] of a frame, without memory.

    Differentiable in the points. SAM2's pixel coordinates are those of pixel centres,
    hence the half pixel.
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
        sam2, bank, features, frame, active, num_frames=num_frames, direction=direction
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
    """Return `answer` with the prompted slots segmented anew, from prompts alone.

    `by_points` and `by_mask` are the slots prompted either way. As in SAM2, a prompted
    slot ignores its memory.
    """
    prompted = track.segment(sam2, features, prompts)
    answer = prompted if answer is None else choose_rows(by_points, prompted, answer)
    if masks is None:
        return answer
    return choose_rows(by_mask, track.segment_mask(sam2, features, masks), answer)


@jax.jit
def discover_objects(
    model: tuple[Sam2, Didm, Sch],
    features: FrameFeatures,
    answer: Segmentation,
    subjects: Int[Array, "s"],
    owner: Int[Array, "n"],
) -> Scene:
    """Discover objects with DIDM, segment them, and classify all pairs.

    `subjects` are the slots of the subjects; `owner` is, for each slot, the slot of the
    subject that it is an object of.
    """
    sam2, didm, sch = model
    subject_masks = answer.mask_logits[subjects] > 0
    points = didm(features.embed, subject_masks).points
    found = segment_points(sam2, features, points.reshape(-1, 2))
    return _join(sch, features, answer, subjects, owner, points, found)


@jax.jit
def segment_at_points(
    model: tuple[Sam2, Sch],
    features: FrameFeatures,
    answer: Segmentation,
    subjects: Int[Array, "s"],
    owner: Int[Array, "n"],
    points: Float[Array, "s q 2"],
) -> Scene:
    """Do as `discover_objects`, at given points (x, y) in [0, 1] instead of DIDM's.

    A point that is nan is absent: its mask is empty.
    """
    sam2, sch = model
    flat = points.reshape(-1, 2)
    present = ~jnp.isnan(flat).any(axis=1)
    found = segment_points(sam2, features, jnp.where(present[:, None], flat, 0.5))
    logits = jnp.where(present[:, None, None], found.mask_logits, NO_OBJECT)
    found = found._replace(mask_logits=logits)
    return _join(sch, features, answer, subjects, owner, points, found)


@jax.jit
def classify_pairs(
    sch: Sch, features: FrameFeatures, answer: Segmentation, owner: Int[Array, "n"]
) -> Scene:
    """Classify the pairs of the slots, on a frame without DIDM."""
    return _classify(sch, features, None, answer.without_candidates(), owner)


@jax.jit
def gather_rows(rows: T, source: Int[Array, "n"]) -> T:
    """Gather rows of a Segmentation, or of a memory bank.

    Compiled separately from `remember`, so that the shapes there depend on the number
    of slots alone.
    """
    return jax.tree.map(lambda x: x[source], rows)


@functools.partial(jax.jit, static_argnames="count")
def spread_rows(rows: T, where: Int[Array, "n"], count: int) -> T:
    """Return `count` rows: the n given ones in the places `where`, else zeros."""
    return jax.tree.map(
        lambda x: jnp.zeros((count, *x.shape[1:]), x.dtype).at[where].set(x), rows
    )


@jax.jit
def put_rows(whole: T, rows: T, where: Int[Array, "n"]) -> T:
    """Return `whole` with n given rows in the places `where`, in its dtypes."""
    return jax.tree.map(lambda x, y: x.at[where].set(y.astype(x.dtype)), whole, rows)


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
    """Write `answer` to the memory of the slots in `where`, as a conditioning frame.

    Slots in `fresh` start a new object here: their old memory is cleared first.
    """
    bank = memory.forget(bank, fresh)
    return track.remember(sam2, bank, features, answer, frame, where, where)


def mask_ious(masks: Bool[Array, "r h w"]) -> tuple[jax.Array, jax.Array]:
    """Return areas [r] and pairwise IoUs [r, r] of masks; IoU 0 for two empty ones."""
    flat = masks.reshape(masks.shape[0], -1).astype(jnp.float32)
    # Products of 0 and 1: exact in float32 at any precision of the matrix product.
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
    parts = answer.without_candidates(), found.without_candidates()
    rows = jax.tree.map(lambda *x: jnp.concatenate(x), *parts)
    finders = jnp.repeat(subjects, points.shape[1])
    return _classify(sch, features, points, rows, jnp.concatenate([owner, finders]))


def _classify(
    sch: Sch,
    features: FrameFeatures,
    points: jax.Array | None,
    rows: Segmentation,
    owner: jax.Array,
) -> Scene:
    masks = rows.mask_logits > 0
    area, iou = mask_ious(masks)
    pooled, moments = pool_mask(features.embed, masks), mask_moments(masks)
    pointers = rows.obj_ptr
    logits = sch(
        pooled[owner], pooled, pointers[owner], pointers, moments[owner], moments
    )
    return Scene(points, rows, area, iou, best_triplets(logits), pooled, moments)


def choose_rows(
    where: Bool[Array, "n"], one: Segmentation, other: Segmentation
) -> Segmentation:
    """Return the rows of `one` in `where`, else those of `other`, in its dtypes."""

    def choose(a: jax.Array, b: jax.Array) -> jax.Array:
        return jnp.where(where.reshape(-1, *[1] * (b.ndim - 1)), a.astype(b.dtype), b)

    return jax.tree.map(choose, one, other)
