"""The training objective (paper 3.5) in PyTorch, literally, matching by scipy.

The reference for `c2g_jax.click2graph.loss.RelationLoss` in its default form: each
frame and subject is matched by the distance of points, unmatched queries weigh a tenth,
and every DIDM layer has an L2 of its own. Loops over frames, subjects and queries take
the place of masked means.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import torch
from scipy.optimize import linear_sum_assignment
from torch.nn import functional as F

from c2g_jax.click2graph.targets import ClipTargets

NONE_WEIGHT = 0.1  # of a query without an object (DETR's eos_coef)
WEIGHTS = {  # lambda of paper 3.6
    "bce": 10.0,
    "dice": 1.0,
    "iou": 1.0,
    "point": 20.0,
    "layer_points": 20.0,
    "subject": 10.0,
    "object": 10.0,
    "predicate": 20.0,
}


class SubjectFrame(NamedTuple):
    """What is predicted for one subject on one frame, with q queries."""

    subject_score: float  # SAM2's object score: in view above 0
    layer_points: list[torch.Tensor]  # [q, 2] of each layer
    masks: torch.Tensor  # logits [q, H, W], at the points of the last layer
    iou: torch.Tensor  # [q], predicted
    object_score: torch.Tensor  # [q]
    # Of q pairs, as `porting.heads.SchLogits`.
    subject: torch.Tensor
    object: torch.Tensor
    predicate: torch.Tensor


def hungarian(points: torch.Tensor, truth: torch.Tensor) -> dict[int, int]:
    """Match points [q, 2] and truth [o, 2] by squared distance: {query: object}."""
    cost = (points[:, None] - truth[None]).square().sum(-1)
    rows, columns = linear_sum_assignment(cost.detach().double().numpy())
    return dict(zip(rows.tolist(), columns.tolist(), strict=True))


def clip_loss(
    frames: list[list[SubjectFrame]], targets: ClipTargets
) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    """Return the loss and its terms; frames[t][k] is of frame t and subject k.

    A pair holds at most one predicate; several would be drawn from.
    """
    terms: dict[str, list[torch.Tensor]] = {name: [] for name in WEIGHTS}
    layers: dict[int, list[torch.Tensor]] = {}
    weights: list[float] = []  # of the entries of "object" and "predicate"
    for t, k, found in _seen(frames, targets):
        label = torch.tensor(int(targets.subject_labels[k]))
        terms["subject"].append(F.cross_entropy(found.subject[0], label))
        predicates = np.asarray(targets.predicates[t, k])
        active = np.flatnonzero(predicates.any(-1))
        truth = torch.tensor(np.asarray(targets.points[t, k])[active])
        *earlier, points = found.layer_points
        for layer, at in enumerate(earlier):
            for query, row in hungarian(at, truth).items():
                error = (at[query] - truth[row]).square().sum()
                layers.setdefault(layer, []).append(error)
        match = hungarian(points, truth)
        for query in range(len(points)):
            present = float(found.object_score[query]) > 0
            if query in match:
                row = match[query]
                terms["point"].append((points[query] - truth[row]).square().sum())
                if present:
                    true = np.asarray(targets.object_masks[t, k, active[row]])
                    _add_mask_terms(terms, found, query, torch.tensor(true))
            if not present:
                continue  # it has no pointer and no features
            name = len(found.object[query]) - 1
            predicate = len(found.predicate[query]) - 1
            if query in match:
                index = active[match[query]]
                name = int(targets.object_labels[k, index])
                (predicate,) = np.flatnonzero(predicates[index])
            weights.append(1.0 if query in match else NONE_WEIGHT)
            for part, logits, target in (
                ("object", found.object[query], name),
                ("predicate", found.predicate[query], int(predicate)),
            ):
                terms[part].append(F.cross_entropy(logits, torch.tensor(target)))
    share = torch.tensor(weights)
    means = {
        name: torch.stack(values).mean() if values else torch.zeros(())
        for name, values in terms.items()
    }
    for part in ("object", "predicate"):
        if weights:
            means[part] = (torch.stack(terms[part]) * share).sum() / share.sum()
    means["layer_points"] = sum(
        (torch.stack(values).mean() for values in layers.values()), torch.zeros(())
    )
    return sum(WEIGHTS[name] * means[name] for name in WEIGHTS), means


def _seen(
    frames: list[list[SubjectFrame]], targets: ClipTargets
) -> Iterator[tuple[int, int, SubjectFrame]]:
    """Yield what teaches: subjects in view, by the annotation and by SAM2."""
    for t, subjects in enumerate(frames):
        for k, found in enumerate(subjects):
            if bool(targets.subject_valid[t, k]) and found.subject_score > 0:
                yield t, k, found


def _add_mask_terms(
    terms: dict[str, list[torch.Tensor]],
    found: SubjectFrame,
    query: int,
    true: torch.Tensor,
) -> None:
    """Add L_BCE, L_Dice and L_IoU (SAM2's, L1 of the predicted IoU) of one mask."""
    logits = found.masks[query]
    terms["bce"].append(F.binary_cross_entropy_with_logits(logits, true))
    share = logits.sigmoid()
    overlap = 2 * (share * true).sum() + 1
    terms["dice"].append(1 - overlap / (share.sum() + true.sum() + 1))
    mask, solid = logits > 0, true > 0.5
    union = (mask | solid).sum()
    iou = (mask & solid).sum() / union if union else torch.ones(())
    terms["iou"].append((found.iou[query] - iou).abs())
