"""R@K, SpIR and PLR of one subject's predictions over a video, as counts that add up.

Hits and totals are kept apart, by name in a Counter, so that runs, subjects and videos
add up to any average. numpy alone: knows no model, and no masks but their overlaps.
"""

from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy.sparse import csr_array
from scipy.sparse.csgraph import maximum_bipartite_matching

from c2g_jax.evaluation.ground_truth import SubjectTruth, discovery_frames, scored_truth
from c2g_jax.evaluation.protocol import TUBE_VOTE, Protocol
from c2g_jax.tracking.scene_graph import vote

NO_OBJECT = -1  # a point that lies in no object


class FramePredictions(NamedTuple):
    """n predictions and q points for one subject on one frame.

    Predictions of one object share its id, whatever they say. g are the objects of the
    subject's truth, its columns. A name that the vocabulary lacks is -1.
    """

    frame: int
    subject_iou: float  # of the subject's mask with the true one
    ids: np.ndarray  # int [n]
    labels: np.ndarray  # int [n, 3]: subject, object, predicate
    confidence: np.ndarray  # float [n]
    iou: np.ndarray  # float [n, g], of the objects' masks with the true ones
    points: np.ndarray  # int [q]: the column of the object under each, or NO_OBJECT
    peer_iou: np.ndarray | None = None  # float [n, n], for mask_nms alone


class _RankedFrames(NamedTuple):
    """The guesses of f frames as arrays, the surest first; n the most on a frame."""

    present: np.ndarray  # bool [f, n]
    fresh: np.ndarray  # bool [f, n]: the first prediction of its object, in the first q
    labels: np.ndarray  # int [f, n, 3]
    iou: np.ndarray  # float [f, n, g]
    subject_iou: np.ndarray  # float [f]
    points: np.ndarray  # int [f, q], NO_OBJECT where there are fewer
    num_points: np.ndarray  # int [f]


def score_subject(
    truth: SubjectTruth,
    guesses: Sequence[FramePredictions],
    prompt: int,
    protocol: Protocol,
) -> Counter:
    """Counts of one run: of hits, and of what could be hit.

    `truth` has the units that are scored; guesses for other frames only vote. Keys:
    "units", "R@K" (its hits), "pairs", "pair_any@K", "SpIR", "masks" (predicted, on
    frames with a unit), "PLR pairs", "PLR", "points", "points inside"; "tubes", "tube
    R@K", "tube pairs", "tube SpIR" (a frame of a tube is hit if any prediction could);
    "subject frames", "subject IoU" (a sum);
    "predicate P" and "R@K predicate P"; "confusion P Q" (true, said).
    """
    counts: Counter = Counter()
    units, pairs, frames = truth.units, truth.pairs, truth.frames
    if not len(units):
        return counts
    table = _table(truth, guesses, protocol)
    unit_frame = np.searchsorted(frames, units[:, 0])
    pair_frame = np.searchsorted(frames, pairs[:, 0])
    pair_of_unit = _rows_of(pairs, units[:, :2])

    # Which prediction would hit which pair by its masks, and which unit by its words.
    there = (table.subject_iou >= protocol.tau)[:, None, None]
    over = table.present[..., None] & there & (table.iou >= protocol.tau)
    by_mask = over[pair_frame, :, pairs[:, 1]]  # [p, n]
    wanted = np.stack(
        [
            np.full(len(units), truth.category),
            truth.categories[units[:, 1]],
            units[:, 2],
        ],
        axis=1,
    )
    named = (table.labels[unit_frame] == wanted[:, None]).all(axis=2)
    by_word = by_mask[pair_of_unit] & named  # [u, n]

    counts["units"], counts["pairs"] = len(units), len(pairs)
    tubes, tube_of_unit = np.unique(units[:, 1:], axis=0, return_inverse=True)
    counts["tubes"] = len(tubes)
    predicates, amounts = np.unique(units[:, 2], return_counts=True)
    for predicate, amount in zip(predicates.tolist(), amounts.tolist(), strict=True):
        counts[f"predicate {predicate}"] = amount
    for k in protocol.ks:
        hit = _assigned(by_word[:, :k], unit_frame, protocol) >= 0
        counts[f"R@{k}"] = int(hit.sum())
        any_hit = by_word[:, :k].any(axis=1)
        counts[f"tube R@{k}"] = _tubes(any_hit, tube_of_unit, protocol)
        for predicate in units[hit, 2].tolist():
            counts[f"R@{k} predicate {predicate}"] += 1
        any_word = np.zeros_like(by_mask[:, :k])
        np.logical_or.at(any_word, pair_of_unit, by_word[:, :k])
        pair_hit = _assigned(any_word, pair_frame, protocol) >= 0
        counts[f"pair_any@{k}"] = int(pair_hit.sum())

    by_mask = by_mask & table.fresh[pair_frame]
    meant = _assigned(by_mask, pair_frame, protocol)
    counts["SpIR"], counts["masks"] = int((meant >= 0).sum()), int(table.fresh.sum())
    columns, tube_of_pair = np.unique(pairs[:, 1], return_inverse=True)
    counts["tube pairs"] = len(columns)
    counts["tube SpIR"] = _tubes(by_mask.any(axis=1), tube_of_pair, protocol)
    counts["subject frames"] = len(frames)
    counts["subject IoU"] = float(table.subject_iou.sum())
    _count_confusion(counts, table, units, pair_of_unit, pair_frame, meant)
    _count_points(
        counts, table, pairs, pair_frame, discovery_frames(frames, prompt, protocol)
    )
    return counts


def score_prompt(
    truth: SubjectTruth,
    guesses: Sequence[FramePredictions],
    prompt: int,
    protocol: Protocol,
) -> Counter:
    """`score_subject` on the frames that count for a prompt, of all of the truth.

    With "prompts", 1, and "units left out", those of other frames.
    """
    part = scored_truth(truth, prompt, protocol)
    counts = score_subject(part, guesses, prompt, protocol)
    counts["prompts"] += 1
    counts["units left out"] += len(truth.units) - len(part.units)
    return counts


def _table(
    truth: SubjectTruth, guesses: Sequence[FramePredictions], protocol: Protocol
) -> _RankedFrames:
    frames = truth.frames
    by_frame = {guess.frame: guess for guess in guesses}
    kept = [_ranked(by_frame.get(int(t)), protocol) for t in frames]
    n = max([1, *(len(g.ids) for g in kept if g)])
    q = max([1, *(len(g.points) for g in kept if g)])
    f, g = len(frames), len(truth.objects)
    table = _RankedFrames(
        present=np.zeros((f, n), bool),
        fresh=np.zeros((f, n), bool),
        labels=np.full((f, n, 3), -1),
        iou=np.zeros((f, n, g)),
        subject_iou=np.zeros(f),
        points=np.full((f, q), NO_OBJECT),
        num_points=np.zeros(f, int),
    )
    for row, guess in enumerate(kept):
        if guess is None:
            continue
        count = len(guess.ids)
        table.present[row, :count] = True
        firsts = np.sort(np.unique(guess.ids, return_index=True)[1])
        table.fresh[row, firsts[: protocol.queries]] = True
        table.labels[row, :count] = guess.labels
        table.iou[row, :count] = guess.iou
        table.subject_iou[row] = guess.subject_iou
        table.points[row, : len(guess.points)] = guess.points
        table.num_points[row] = len(guess.points)
    if protocol.subject_label == TUBE_VOTE:
        said = [
            (int(label), float(weight))
            for guess in guesses
            for label, weight in zip(guess.labels[:, 0], guess.confidence, strict=True)
        ]
        table.labels[..., 0] = vote(said)[0] if said else -1
    return table


def _ranked(
    guess: FramePredictions | None, protocol: Protocol
) -> FramePredictions | None:
    """The predictions by falling confidence; ties keep their order."""
    if guess is None:
        return None
    order = np.argsort(-np.asarray(guess.confidence), kind="stable")
    if protocol.mask_nms:
        if guess.peer_iou is None:
            raise ValueError("mask_nms needs the overlaps of the masks: peer_iou")
        kept: list[int] = []
        for i in order.tolist():
            rivals = [j for j in kept if guess.ids[j] != guess.ids[i]]
            if not (guess.peer_iou[i, rivals] >= protocol.mask_nms).any():
                kept.append(i)
        order = np.array(kept, int)
    return guess._replace(
        ids=guess.ids[order],
        labels=guess.labels[order],
        confidence=guess.confidence[order],
        iou=guess.iou[order],
    )


def _assigned(match: np.ndarray, frame: np.ndarray, protocol: Protocol) -> np.ndarray:
    """The prediction that hits each of u things, -1 where none does: int [u].

    match bool [u, n] says which predictions could, frame [u] on which frame it is.
    As many as can be are hit if a prediction hits one thing at most.
    """
    hit = match.any(axis=1)
    chosen = np.where(hit, match.argmax(axis=1), -1) if match.shape[1] else hit - 1
    if not protocol.one_to_one or not hit.any():
        return chosen
    uses = np.zeros((frame.max() + 1, match.shape[1]), int)
    np.add.at(uses, frame, match)
    # Where no prediction could hit two things, the first that can is as good as any.
    for row in np.flatnonzero((uses > 1).any(axis=1)):
        rows = np.flatnonzero(frame == row)
        graph = csr_array(match[rows])
        chosen[rows] = maximum_bipartite_matching(graph, perm_type="column")
    return chosen


def _tubes(hit: np.ndarray, tube: np.ndarray, protocol: Protocol) -> int:
    """How many tubes are hit on a large enough share of their frames."""
    tube = tube.reshape(-1)
    share = np.bincount(tube, weights=hit) / np.bincount(tube)
    return int((share >= protocol.tube_share).sum())


def _rows_of(table: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Where each of `rows` [u, 2] stands in `table` [p, 2], which holds them all."""
    width = int(max(table[:, 1].max(), rows[:, 1].max())) + 1
    keys = table[:, 0].astype(np.int64) * width + table[:, 1]
    return np.searchsorted(keys, rows[:, 0].astype(np.int64) * width + rows[:, 1])


def _count_confusion(counts, table, units, pair_of_unit, pair_frame, meant):
    """Of pairs that were found: the true predicates against the one that was said."""
    true = defaultdict(set)
    for pair, predicate in zip(
        pair_of_unit.tolist(), units[:, 2].tolist(), strict=True
    ):
        true[pair].add(predicate)
    for pair in np.flatnonzero(meant >= 0).tolist():
        said = int(table.labels[pair_frame[pair], meant[pair], 2])
        names = {said} if said in true[pair] else true[pair]
        for name in names:
            counts[f"confusion {name} {said}"] += 1


def _count_points(counts, table, pairs, pair_frame, looks):
    """PLR: which objects have a point in them, and which points lie in an object."""
    under = table.points[pair_frame] == pairs[:, 1:]  # [p, q]
    due = looks[pair_frame]
    counts["PLR pairs"] = int(due.sum())
    counts["PLR"] = int((under.any(axis=1) & due).sum())
    counts["points"] = int(table.num_points[looks].sum())
    counts["points inside"] = int(under[due].sum())
