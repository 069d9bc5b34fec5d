"""Stage-by-stage comparison of DIDM, SCH and the loss with their twins in PyTorch.

Dropout is off. Both sides start from the reference's image features and from the same
drawn subjects and truth; from there on each continues from its own earlier stages, so
that the loss, and its gradients through points, masks and pointers, are compared whole.
"""

from collections.abc import Iterator
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import torch

from c2g_jax.checkpoints.pretrained import abstract_click2graph
from c2g_jax.checkpoints.safetensors import parameters, with_parameters
from c2g_jax.click2graph.clip import predict_clip
from c2g_jax.click2graph.didm import Didm, with_position
from c2g_jax.click2graph.loss import RelationLoss
from c2g_jax.click2graph.model import Click2Graph
from c2g_jax.click2graph.pooling import pool_mask
from c2g_jax.click2graph.sch import Sch, SchLogits
from c2g_jax.click2graph.targets import ClipTargets
from c2g_jax.sam2.model import FrameFeatures
from c2g_jax.sam2.track import Segmentation
from porting.compare import ERROR_BOUND, HEADS_BOUND, Row, compare, compare_masks
from porting.heads import Heads, pool
from porting.heads_files import to_torch
from porting.heads_loss import SubjectFrame, clip_loss
from porting.pair import Clip
from porting.reference import to_numpy

SUBJECTS, OBJECTS = 2, 4  # more objects than the paper's three queries


class HeadsScene(NamedTuple):
    """What both sides start from, over t frames."""

    levels: list[tuple[torch.Tensor, ...]]  # of each frame: strides 4, 8 and 16, NCHW
    features: FrameFeatures  # the same for ours
    subjects: Segmentation  # drawn, leading axis t
    targets: ClipTargets


def draw_scene(
    clip: Clip, heads: Heads, num_frames: int = 2, seed: int = 0
) -> HeadsScene:
    """Return the first frames, with subjects and truth from a seed.

    The second subject is lost on the last frame; one object has no relation.
    """
    rng, num_frames = np.random.default_rng(seed), min(num_frames, len(clip.frames))
    levels = [
        tuple(x.clone() for x in clip.reference_levels(t)) for t in range(num_frames)
    ]
    fine, middle, embed = (
        jnp.asarray(np.concatenate([to_numpy(frame[i]) for frame in levels]))
        for i in range(3)
    )
    side, k, o = clip.pair.config.low_res_size, SUBJECTS, OBJECTS
    shape = (num_frames, k)

    def boxes(*shape: int) -> np.ndarray:
        """Return filled boxes at random: float32 [*shape, side, side]."""
        masks = np.zeros((*shape, side, side), np.float32)
        for index in np.ndindex(*shape):
            (top, left), (high, wide) = rng.integers(0, side // 2, (2, 2))
            masks[index][top : top + high + 4, left : left + wide + 4] = 1
        return masks

    subject_masks = boxes(*shape)
    score = np.full(shape, 10, np.float32)
    score[-1, -1] = -10
    pointers = rng.normal(size=(*shape, embed.shape[-1])).astype(np.float32)
    sch = heads.sch
    predicates = np.zeros((*shape, o, sch.predicate[-1].out_features - 1), bool)
    for index in np.ndindex(*shape, o):
        predicates[(*index, rng.integers(predicates.shape[-1]))] = True
    predicates[0, 0, 0] = False
    targets = ClipTargets(
        subject_masks=subject_masks,
        subject_labels=rng.integers(sch.subject[-1].out_features, size=k),
        subject_valid=np.ones(shape, bool),
        object_masks=boxes(*shape, o),
        object_labels=rng.integers(sch.object[-1].out_features - 1, size=(k, o)),
        points=rng.random((*shape, o, 2), np.float32),
        predicates=predicates,
    )
    logits = 20 * subject_masks - 10
    subjects = Segmentation(logits, score, score, pointers, None, None)
    return HeadsScene(levels, FrameFeatures(embed, (fine, middle)), subjects, targets)


def heads_rows(clip: Clip, ours: Click2Graph, twin: Heads) -> list[Row]:
    """Compare a model with its twin, which has the same weights: all stages, the loss.

    `ours` has the SAM2.1 of the clip's pair.
    """
    scene = draw_scene(clip, twin)
    rows = [*_didm_rows(ours.didm, twin, scene), *_sch_rows(ours.sch, twin, scene)]
    ((total, (terms, found)), gradient) = _our_loss(ours, scene)
    frames = _reference_frames(clip, twin, scene)
    their_total, their_terms = clip_loss(frames, scene.targets)

    def theirs(part: str) -> np.ndarray:
        parts = [[getattr(x, part) for x in subjects] for subjects in frames]
        return torch.stack([torch.stack(row) for row in parts]).detach().numpy()

    rows += [
        compare_masks("masks at DIDM's points", found.mask_logits, theirs("masks")),
        compare("IoU at DIDM's points", found.iou, theirs("iou")),
    ]
    for part in SchLogits._fields:
        logits = getattr(found.class_logits, part)
        rows.append(compare(f"SCH {part} at DIDM's points", logits, theirs(part)))
    for name, term in their_terms.items():
        rows.append(_row(f"loss, {name}", terms[name], term.detach()))
    rows.append(_row("loss", total, their_total.detach()))
    reference = _gradient(twin, their_total)
    # Through SAM2's decoder, with SAM2's bound: both sides are 4e-6 to 1.1e-5 from the
    # gradient in float64, of which DIDM's own part is a tenth.
    rows.append(_gradient_row("gradient of the loss", "didm", gradient, reference))
    rows.append(
        _gradient_row("gradient of the loss", "sch", gradient, reference, HEADS_BOUND)
    )
    _, gradient = _our_loss(ours, scene, detach_points=True)
    frames = _reference_frames(clip, twin, scene, detach_points=True)
    reference = _gradient(twin, clip_loss(frames, scene.targets)[0])
    stage = "gradient of points alone"
    rows.append(_gradient_row(stage, "didm", gradient, reference, HEADS_BOUND))
    return rows


def _gradient(twin: Heads, loss: torch.Tensor) -> dict[str, torch.Tensor]:
    parameters = dict(twin.named_parameters())
    # Zeros where nothing in the scene teaches a head.
    grads = torch.autograd.grad(loss, list(parameters.values()), materialize_grads=True)
    return dict(zip(parameters, grads, strict=True))


def _gradient_row(
    stage: str, head: str, ours: dict, theirs: dict, bound: float = ERROR_BOUND
) -> Row:
    """Compare the gradient of all parameters of a head, as one vector."""
    names = [name for name in theirs if name.startswith(f"{head}.")]
    both = (torch.cat([x[name].ravel() for name in names]) for x in (ours, theirs))
    return compare(f"{stage}, {head}", *(x.numpy() for x in both), bound)


@jax.jit
def _our_didm(didm: Didm, features: jax.Array, masks: jax.Array):
    subject = pool_mask(features, masks)
    tokens, position = didm.first_tokens(subject)
    keys = with_position(features)
    queries = list(didm.refined_queries(tokens, position, keys, features, None))
    return subject, tokens, queries, didm(features, masks).layer_points


def _didm_rows(ours: Didm, twin: Heads, scene: HeadsScene) -> Iterator[Row]:
    """Compare DIDM on the first frame."""
    masks = scene.subjects.mask_logits[0] > 0
    subject, tokens, queries, points = _our_didm(ours, scene.features.embed[:1], masks)
    with torch.no_grad():
        stages = twin.didm(scene.levels[0][2], torch.from_numpy(masks))
    yield _row("DIDM mask feature", subject, stages.subject)
    yield _row("DIDM first tokens", tokens, stages.tokens)
    for i, layer in enumerate(stages.queries):
        yield _row(f"DIDM queries, layer {i + 1}", queries[i], layer)
    for i, layer in enumerate(stages.points):
        yield _row(f"DIDM points, layer {i + 1}", points[i], layer)


def _sch_rows(ours: Sch, twin: Heads, scene: HeadsScene) -> Iterator[Row]:
    """Compare SCH on drawn masks and pointers of the first frame."""
    masks = scene.targets.object_masks[0]
    masks = masks.reshape(-1, *masks.shape[-2:]) > 0
    features, pointers = scene.features.embed[:1], scene.subjects.obj_ptr[0]
    pooled = pool_mask(features, masks)
    first = np.zeros(len(masks), int)
    inputs = (pooled[first], pooled, pointers[first], np.resize(pointers, pooled.shape))
    logits = jax.jit(lambda sch, x: sch(*x))(ours, inputs)
    with torch.no_grad():
        reference = pool(scene.levels[0][2], torch.from_numpy(masks))
        given = (reference[first], reference, *map(torch.tensor, inputs[2:]))
        expected = twin.sch(*given)
    yield _row("SCH object feature", pooled, reference)
    for name in SchLogits._fields:
        yield _row(f"SCH {name}", getattr(logits, name), getattr(expected, name))


def _row(stage: str, ours, theirs: torch.Tensor) -> Row:
    return compare(stage, ours, theirs.numpy(), HEADS_BOUND)


def _our_loss(model: Click2Graph, scene: HeadsScene, detach_points: bool = False):
    """Return ((loss, (terms, queries)), gradient by the twin's names)."""
    flat = parameters(model)
    heads = {k: x for k, x in flat.items() if not k.startswith("sam2.")}
    sam2 = {k: x for k, x in flat.items() if k.startswith("sam2.")}
    abstract = abstract_click2graph(model.config)

    @jax.jit
    def run(heads, sam2, features, subjects, targets):
        def loss(heads):
            whole = with_parameters(abstract, sam2 | heads)
            prediction = predict_clip(
                whole, features, subjects, detach_points=detach_points
            )
            total, terms = RelationLoss()(prediction, targets, jax.random.key(0))
            return total, (terms, prediction.found)

        return jax.value_and_grad(loss, has_aux=True)(heads)

    values, grads = run(heads, sam2, scene.features, scene.subjects, scene.targets)
    return values, to_torch(grads)


def _reference_frames(
    clip: Clip, twin: Heads, scene: HeadsScene, detach_points: bool = False
) -> list[list[SubjectFrame]]:
    """Predict with the twin and the reference's decoder, which is differentiable."""
    frames = []
    for t, levels in enumerate(scene.levels):
        masks = torch.from_numpy(scene.subjects.mask_logits[t] > 0)
        points, embed = twin.didm(levels[-1], masks).points, levels[-1]
        features, subjects = pool(embed, masks), []
        for k in range(len(masks)):
            last = points[-1][k].detach() if detach_points else points[-1][k]
            found = _segment_points(clip, levels, last)
            pointer = torch.tensor(scene.subjects.obj_ptr[t, k])
            classes = twin.sch(
                features[k].expand(len(last), -1),
                pool(embed, found.masks > 0),
                pointer.expand(len(last), -1),
                found.pointers,
            )
            subjects.append(
                SubjectFrame(
                    float(scene.subjects.object_score[t, k]),
                    [layer[k] for layer in points],
                    found.masks,
                    found.iou,
                    found.score.detach(),
                    *classes,
                )
            )
        frames.append(subjects)
    return frames


class _Segmented(NamedTuple):
    """The reference's output for q points."""

    masks: torch.Tensor  # logits [q, 4h, 4w]
    iou: torch.Tensor  # [q], predicted
    score: torch.Tensor  # [q], of the object
    pointers: torch.Tensor  # [q, c]


def _segment_points(clip: Clip, levels, points: torch.Tensor) -> _Segmented:
    """Segment at points [q, 2] in [0, 1], each by itself and without memory."""
    reference, side = clip.pair.reference, clip.pair.config.image_size
    *high_res, embed = levels
    image, rows = embed + reference.no_mem_embed.reshape(1, -1, 1, 1), []
    for point in points:
        given = {
            # SAM2's coordinates are those of pixel centres.
            "point_coords": (point * side - 0.5)[None, None],
            "point_labels": torch.ones((1, 1), dtype=torch.int32),
        }
        _, _, ious, mask, _, pointer, score = reference._forward_sam_heads(
            image, given, None, high_res, multimask_output=True
        )
        # Of several masks the best is chosen.
        rows.append(_Segmented(mask[0, 0], ious.max(), score[0, 0], pointer[0]))
    return _Segmented(*(torch.stack(parts) for parts in zip(*rows, strict=True)))
