"""R@K, SpIR and PLR of one subject's predictions over a video, as counts.

The metrics of the paper (arXiv 2511.15948, section 5), for one prompted subject. A unit
is a true (frame, object, predicate), a pair a true (frame, object); both masks of
either are in view. A mask is right if its IoU with the true one is at least tau.

- R@K, recall at K: the share of units that one of the K most confident predictions of
  their frame hits. A hit has the subject, object and predicate labels right and both
  masks right.
- SpIR, spatial interaction recall: the share of pairs for which a prediction has both
  masks right, whatever its labels, among the first `queries` objects of the frame.
- PLR, prompt localization recall: the share of pairs with a predicted point inside the
  true object mask, on the frames where DIDM runs.

Hits and totals are counted apart, by name in a Counter, so that counts of runs,
subjects and videos can be added up before `results.shares` divides them. NumPy only:
no model, and IoUs in place of masks.
"""

from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy.sparse import csr_array
from scipy.sparse.csgraph import maximum_bipartite_matching

from c2g_jax.evaluation.counting import ranking
from c2g_jax.evaluation.ground_truth import SubjectTruth, discovery_frames, scored_truth
from c2g_jax.evaluation.protocol import TUBE_VOTE, Protocol
from c2g_jax.tracking.scene_graph import vote

NO_OBJECT = -1  # a point outside all objects of the subject


class FramePredictions(NamedTuple):
    """n predictions and q points for one subject on one frame.

    g is the number of objects in the subject's ground truth, in its order. Several
    predictions of one object share its id. A label that the data set lacks is -1.
    """

    frame: int
    subject_iou: float  # of the subject's mask with the true one
    ids: np.ndarray  # int [n], of the predicted objects
    labels: np.ndarray  # int [n, 3]: subject, object, predicate
    confidence: np.ndarray  # float [n]
    iou: np.ndarray  # float [n, g], of predicted with true object masks
    points: np.ndarray  # int [q]: the true object (0 to g - 1) at each, or NO_OBJECT
    peer_iou: np.ndarray | None = None  # float [n, n], only for mask_nms

    @classmethod
    def of_labels(
        cls,
        frame: int,
        ids: Sequence[int] | np.ndarray,
        labels: Sequence | np.ndarray,
        confidence: Sequence[float] | np.ndarray,
        truth: SubjectTruth,
    ) -> "FramePredictions":
        """Predictions whose IoUs are all 0, without points."""
        return cls(
            frame,
            0.0,
            np.array(ids, int),
            np.array(labels, int).reshape(-1, 3),
            np.array(confidence, float),
            np.zeros((len(ids), len(truth.objects))),
            np.zeros(0, int),
        )


class _Table(NamedTuple):
    """The predictions on f frames, padded to n a frame, by falling confidence."""

    present: np.ndarray  # bool [f, n]: False for padding
    distinct: np.ndarray  # bool [f, n]: the first of its object, for `queries` objects
    labels: np.ndarray  # int [f, n, 3]
    iou: np.ndarray  # float [f, n, g]
    subject_iou: np.ndarray  # float [f]
    points: np.ndarray  # int [f, q], padded with NO_OBJECT
    num_points: np.ndarray  # int [f]


class _Matches(NamedTuple):
    """Which predictions of its frame match each of u units and p pairs."""

    unit_frame: np.ndarray  # int [u], row of the table
    pair_frame: np.ndarray  # int [p], row of the table
    pair_of_unit: np.ndarray  # int [u], row of the pairs
    masks: np.ndarray  # bool [p, n]: both masks are right
    triplet: np.ndarray  # bool [u, n]: both masks and all three labels are right


def score_subject(
    truth: SubjectTruth,
    predictions: Sequence[FramePredictions],
    prompt: int,
    protocol: Protocol,
) -> Counter:
    """Count the hits and totals of one run; `prompt` is the prompted frame.

    `truth` holds the scored units; predictions on other frames only count for the
    subject's label with "tube_vote". The names of the counts, total before hits:

    - "units", "R@K"; "pairs", "pair_any@K" (pairs with any unit hit)
    - "predicate P", "R@K predicate P": units by predicate, and their hits
    - "pairs", "SpIR"; "masks": distinct predicted objects on frames with a unit
    - "PLR pairs", "PLR"; "points", "points inside": points in any true object
    - "tubes", "tube R@K": (object, predicate) over all its frames, hit if predictions
      match it on at least `tube_share` of them; "tube pairs", "tube SpIR": (object)
    - "subject frames", "subject IoU": frames with a unit, and the sum of the IoUs
    - "confusion P Q": pairs with right masks, of true predicate P, predicted as Q
    """
    counts: Counter = Counter()
    if not len(truth.units):
        return counts
    table = _table(truth, predictions, protocol)
    matches = _matches(truth, table, protocol)
    _count_recall(counts, truth, matches, protocol)
    _count_spatial_recall(counts, truth, table, matches, protocol)
    _count_points(counts, truth, table, matches.pair_frame, prompt, protocol)
    return counts


def score_prompt(
    truth: SubjectTruth,
    predictions: Sequence[FramePredictions],
    prompt: int,
    protocol: Protocol,
) -> Counter:
    """Score a subject on the frames that count for a prompt on frame `prompt`.

    `truth` is that of the whole video. Adds "prompts", 1, and "units left out", those
    on other frames, to the counts of `score_subject`.
    """
    part = scored_truth(truth, prompt, protocol)
    counts = score_subject(part, predictions, prompt, protocol)
    counts["prompts"] += 1
    counts["units left out"] += len(truth.units) - len(part.units)
    return counts


def _count_recall(
    counts: Counter, truth: SubjectTruth, matches: _Matches, protocol: Protocol
) -> None:
    """R@K, by predicate, by pair and by tube."""
    units, pairs = truth.units, truth.pairs
    counts["units"], counts["pairs"] = len(units), len(pairs)
    tubes, tube_of_unit = np.unique(units[:, 1:], axis=0, return_inverse=True)
    counts["tubes"] = len(tubes)
    predicates, amounts = np.unique(units[:, 2], return_counts=True)
    for predicate, amount in zip(predicates.tolist(), amounts.tolist(), strict=True):
        counts[f"predicate {predicate}"] = amount
    for k in protocol.ks:
        match = matches.triplet[:, :k]
        hit = _assign(match, matches.unit_frame, protocol) >= 0
        counts[f"R@{k}"] = int(hit.sum())
        counts[f"tube R@{k}"] = _tube_hits(match.any(axis=1), tube_of_unit, protocol)
        for predicate in units[hit, 2].tolist():
            counts[f"R@{k} predicate {predicate}"] += 1
        any_unit = np.zeros((len(pairs), match.shape[1]), bool)
        np.logical_or.at(any_unit, matches.pair_of_unit, match)
        pair_hit = _assign(any_unit, matches.pair_frame, protocol) >= 0
        counts[f"pair_any@{k}"] = int(pair_hit.sum())


def _count_spatial_recall(
    counts: Counter,
    truth: SubjectTruth,
    table: _Table,
    matches: _Matches,
    protocol: Protocol,
) -> None:
    """SpIR, by pair and by tube; the subject's IoU; the confusion of predicates."""
    match = matches.masks & table.distinct[matches.pair_frame]
    chosen = _assign(match, matches.pair_frame, protocol)
    counts["SpIR"] = int((chosen >= 0).sum())
    counts["masks"] = int(table.distinct.sum())
    objects, tube_of_pair = np.unique(truth.pairs[:, 1], return_inverse=True)
    counts["tube pairs"] = len(objects)
    counts["tube SpIR"] = _tube_hits(match.any(axis=1), tube_of_pair, protocol)
    counts["subject frames"] = len(truth.frames)
    counts["subject IoU"] = float(table.subject_iou.sum())

    true = defaultdict(set)
    for pair, predicate in zip(
        matches.pair_of_unit.tolist(), truth.units[:, 2].tolist(), strict=True
    ):
        true[pair].add(predicate)
    for pair in np.flatnonzero(chosen >= 0).tolist():
        row = matches.pair_frame[pair], chosen[pair]
        predicted = int(table.labels[row][2])
        # A right predicate is not confused with the others that hold as well.
        for predicate in {predicted} if predicted in true[pair] else true[pair]:
            counts[f"confusion {predicate} {predicted}"] += 1


def _count_points(
    counts: Counter,
    truth: SubjectTruth,
    table: _Table,
    pair_frame: np.ndarray,
    prompt: int,
    protocol: Protocol,
) -> None:
    """PLR, and how many points lie in a true object, on frames where DIDM runs."""
    runs = discovery_frames(truth.frames, prompt, protocol)  # [f]
    due = runs[pair_frame]
    inside = table.points[pair_frame] == truth.pairs[:, 1:]  # [p, q]
    counts["PLR pairs"] = int(due.sum())
    counts["PLR"] = int((inside.any(axis=1) & due).sum())
    counts["points"] = int(table.num_points[runs].sum())
    counts["points inside"] = int(inside[due].sum())


def _matches(truth: SubjectTruth, table: _Table, protocol: Protocol) -> _Matches:
    """Compare masks and labels of all predictions with units and pairs."""
    units, pairs = truth.units, truth.pairs
    unit_frame = np.searchsorted(truth.frames, units[:, 0])
    pair_frame = np.searchsorted(truth.frames, pairs[:, 0])
    pair_of_unit = _rows_of(pairs, units[:, :2])
    subject = (table.subject_iou >= protocol.tau)[:, None, None]
    right = table.present[..., None] & subject & (table.iou >= protocol.tau)
    masks = right[pair_frame, :, pairs[:, 1]]
    true = (
        np.full(len(units), truth.category),
        truth.categories[units[:, 1]],
        units[:, 2],
    )
    labels = table.labels[unit_frame] == np.stack(true, axis=1)[:, None]  # [u, n, 3]
    triplet = masks[pair_of_unit] & labels.all(axis=2)
    return _Matches(unit_frame, pair_frame, pair_of_unit, masks, triplet)


def _table(
    truth: SubjectTruth, predictions: Sequence[FramePredictions], protocol: Protocol
) -> _Table:
    """Collect the predictions on the frames of the truth."""
    frames = truth.frames
    by_frame = {own.frame: own for own in predictions}
    kept = [_ranked(by_frame.get(int(t)), protocol) for t in frames]
    n = max([1, *(len(own.ids) for own in kept if own)])
    q = max([1, *(len(own.points) for own in kept if own)])
    f, g = len(frames), len(truth.objects)
    table = _Table(
        present=np.zeros((f, n), bool),
        distinct=np.zeros((f, n), bool),
        labels=np.full((f, n, 3), -1),
        iou=np.zeros((f, n, g)),
        subject_iou=np.zeros(f),
        points=np.full((f, q), NO_OBJECT),
        num_points=np.zeros(f, int),
    )
    for row, own in enumerate(kept):
        if own is None:
            continue
        count = len(own.ids)
        table.present[row, :count] = True
        firsts = np.sort(np.unique(own.ids, return_index=True)[1])
        table.distinct[row, firsts[: protocol.queries]] = True
        table.labels[row, :count] = own.labels
        table.iou[row, :count] = own.iou
        table.subject_iou[row] = own.subject_iou
        table.points[row, : len(own.points)] = own.points
        table.num_points[row] = len(own.points)
    if protocol.subject_label == TUBE_VOTE:
        votes = [
            (int(label), float(weight))
            for own in predictions
            for label, weight in zip(own.labels[:, 0], own.confidence, strict=True)
        ]
        table.labels[..., 0] = vote(votes)[0] if votes else -1
    return table


def _ranked(
    predictions: FramePredictions | None, protocol: Protocol
) -> FramePredictions | None:
    """Sort by falling confidence (`counting.ranking`), and apply mask_nms."""
    if predictions is None:
        return None
    order = ranking(predictions.confidence, predictions.ids, predictions.labels[:, 2])
    if protocol.mask_nms:
        ids, peer_iou = predictions.ids, predictions.peer_iou
        if peer_iou is None:
            raise ValueError("mask_nms needs the IoUs among the masks: give peer_iou")
        kept: list[int] = []
        for i in order.tolist():
            rivals = [j for j in kept if ids[j] != ids[i]]
            if not (peer_iou[i, rivals] >= protocol.mask_nms).any():
                kept.append(i)
        order = np.array(kept, int)
    return predictions._replace(
        ids=predictions.ids[order],
        labels=predictions.labels[order],
        confidence=predictions.confidence[order],
        iou=predictions.iou[order],
    )


def _assign(match: np.ndarray, frame: np.ndarray, protocol: Protocol) -> np.ndarray:
    """Return the prediction that hits each of u units (or pairs), -1 for none: int [u].

    match bool [u, n]: the predictions that match it; frame int [u]: its frame. With
    one_to_one a prediction hits one unit of its frame at most, and the number of hits
    is the largest possible: a maximum bipartite matching.
    """
    hit = match.any(axis=1)
    chosen = np.where(hit, match.argmax(axis=1), -1)
    if not protocol.one_to_one or not hit.any():
        return chosen
    uses = np.zeros((frame.max() + 1, match.shape[1]), int)
    np.add.at(uses, frame, match)
    # Frames whose predictions match one unit each at most need no matching.
    for row in np.flatnonzero((uses > 1).any(axis=1)):
        rows = np.flatnonzero(frame == row)
        graph = csr_array(match[rows])
        chosen[rows] = maximum_bipartite_matching(graph, perm_type="column")
    return chosen


def _tube_hits(hit: np.ndarray, tube: np.ndarray, protocol: Protocol) -> int:
    """Count the tubes that are hit on at least `tube_share` of their frames."""
    tube = tube.reshape(-1)
    share = np.bincount(tube, weights=hit) / np.bincount(tube)
    return int((share >= protocol.tube_share).sum())


def _rows_of(table: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Return the index of each of `rows` [u, 2] in the ascending `table` [p, 2]."""
    width = int(max(table[:, 1].max(), rows[:, 1].max())) + 1
    keys = table[:, 0].astype(np.int64) * width + table[:, 1]
    return np.searchsorted(keys, rows[:, 0].astype(np.int64) * width + rows[:, 1])
