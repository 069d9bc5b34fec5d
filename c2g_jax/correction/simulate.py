"""A simulated user who corrects labels: a session's predictions after n corrections.

The user knows the ground truth, clicks once on each subject on its first frame with a
relation, lets the session track, and then corrects, again and again, the label that is
wrong on most frames. After each correction the session classifies all pairs again, so
one correction may mend several labels.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from c2g_jax.data.dataset import Dataset
from c2g_jax.data.prompts import evaluation_points
from c2g_jax.data.records import VideoRecord
from c2g_jax.evaluation.ground_truth import SubjectTruth, video_truth
from c2g_jax.evaluation.metrics import FramePredictions
from c2g_jax.evaluation.overlaps import CodedFrame, coded_frames
from c2g_jax.evaluation.predictions import LabelIds, predictions_of_graph
from c2g_jax.evaluation.protocol import Protocol
from c2g_jax.media.rle import decode_mask, mask_iou
from c2g_jax.session.session import Session
from c2g_jax.tracking.spans import merge_spans
from c2g_jax.types import SceneGraph
from c2g_jax.vocabulary import Vocabulary

MATCH = 0.25  # least overlap of a track with its ground-truth object over all frames


@dataclass(frozen=True, eq=False)
class Truth:
    """The ground truth of a video; `frames` holds every frame with a relation."""

    video_id: str
    subjects: tuple[SubjectTruth, ...]
    frames: Mapping[int, CodedFrame]
    vocabulary: Vocabulary


def read_truth(dataset: Dataset, video: VideoRecord, protocol: Protocol) -> Truth:
    """Read the ground truth of a prepared video."""
    subjects = video_truth(video, protocol).subjects
    numbers = sorted({t for own in subjects for t in own.frames.tolist()})
    ids = {i for own in subjects for i in (own.subject_id, *own.objects.tolist())}
    frames = dict(coded_frames(dataset, video, numbers, ids))
    return Truth(video.video_id, subjects, frames, dataset.vocabulary)


class Correction(NamedTuple):
    """The right label of what is labelled wrongly on `weight` frames.

    subject_id None: the category of the object; else the predicate of the pair on the
    frames `first` to `last`.
    """

    weight: int
    subject_id: int | None
    object_id: int
    name: str
    first: int = 0
    last: int = 0


Choosing = Callable[[Session, Correction], object]


@dataclass(frozen=True, eq=False)
class Outcome:
    """A session's predictions after `made` corrections.

    guesses: by the ground-truth subject's id. named: the categories and predicates
    that the user gave by then.
    """

    made: int
    guesses: Mapping[int, Sequence[FramePredictions]]
    named: frozenset[str]


def simulate(
    session: Session,
    truth: Truth,
    protocol: Protocol,
    counts: Sequence[int] = (0, 1, 2, 4),
    choosing: Choosing = lambda session, correction: None,
) -> dict[int, Outcome]:
    """Simulate a user on a new session; return the outcome of each of `counts`.

    A user who finds no wrong label makes no further corrections. `choosing` is called
    before each correction.
    """
    clicked = click_subjects(session, truth)
    tracks = match_tracks(session.graph(), truth, clicked)
    return outcomes_of(session, truth, tracks, protocol, counts, choosing)


def outcomes_of(
    session: Session,
    truth: Truth,
    tracks: Mapping[int, int],
    protocol: Protocol,
    counts: Sequence[int],
    choosing: Choosing = lambda session, correction: None,
) -> dict[int, Outcome]:
    """Do the same in a session that has tracked; `tracks` are those of `match_tracks`.

    Each correction is one action, which `Session.undo` takes back.
    """
    outcomes, named, made = {}, set(), 0
    for count in sorted(counts):
        while made < count:
            wrong = wrong_labels(session.graph(), truth, tracks)
            if not wrong:
                break
            choosing(session, wrong[0])
            correct(session, wrong[0])
            named.add(wrong[0].name)
            made += 1
        graph, names = session.graph(), LabelIds(truth.vocabulary)
        guesses = {
            own.subject_id: predictions_of_graph(
                graph, tracks[own.subject_id], own, truth.frames, names, protocol
            )
            for own in truth.subjects
        }
        outcomes[count] = Outcome(made, guesses, frozenset(named))
    return outcomes


def click_subjects(session: Session, truth: Truth) -> dict[int, int]:
    """Click on each subject on its first frame with a relation; track to the end.

    Return {ground-truth id: id in the session}.
    """
    clicked: dict[int, int] = {}
    for own in truth.subjects:
        frame = int(own.frames[0])
        mask = decode_mask(truth.frames[frame].masks[own.subject_id])
        x, y = evaluation_points(mask, truth.video_id, own.subject_id, 1)[0]
        known = {o.object_id for o in session.view(frame).objects}
        seen = session.click(frame, float(x), float(y)).objects
        (clicked[own.subject_id],) = {o.object_id for o in seen} - known
    if clicked:
        for _ in session.track():
            pass
    state = session.history()[0]
    return {true: state.shown_id(i) for true, i in clicked.items()}


def match_tracks(
    graph: SceneGraph, truth: Truth, clicked: Mapping[int, int]
) -> dict[int, int]:
    """Match tracks to ground-truth objects greedily: {ground-truth id: track's id}.

    The score is the sum of mask IoUs over the frames with a relation, divided by the
    number of these on which either is visible. A subject's track is the clicked one.
    """
    true_ids = {i for own in truth.subjects for i in own.objects.tolist()}
    scores = []
    for track in graph.objects:
        seen = truth.frames.keys() & track.masks.keys()
        for i in sorted(true_ids - clicked.keys()):
            there = {t for t, frame in truth.frames.items() if i in frame.masks}
            shared = sum(
                mask_iou(track.masks[t], truth.frames[t].masks[i]) for t in seen & there
            )
            if seen | there and shared / len(seen | there) >= MATCH:
                scores.append((shared / len(seen | there), track.object_id, i))
    matches = dict(clicked)
    for _, object_id, i in sorted(scores, reverse=True):
        if i not in matches and object_id not in matches.values():
            matches[i] = object_id
    return matches


def wrong_labels(
    graph: SceneGraph, truth: Truth, tracks: Mapping[int, int]
) -> list[Correction]:
    """Return all corrections, those of labels wrong on most frames first.

    `tracks` are those of `match_tracks`. A pair without a prediction counts as wrong on
    frames where both objects are visible.
    """
    masks = {track.object_id: track.masks for track in graph.objects}
    predicted = {
        (entry.frame, entry.subject_id, guess.object_id): guess
        for entry in graph.frames
        for guess in entry.triplets
    }
    names, wrong = truth.vocabulary, Counter()
    for own in truth.subjects:
        subject = tracks[own.subject_id]
        right = _predicates(own)
        for column, predicate, first, last in _spans(own):
            other = tracks.get(int(own.objects[column]))
            if other is None:
                continue
            for t in range(first, last + 1):
                if t not in masks[subject] or t not in masks[other]:
                    continue
                guess = predicted.get((t, subject, other))
                word = None if guess is None else guess.predicate
                if word not in {names.predicates[p] for p in right[t, column]}:
                    name = names.predicates[predicate]
                    wrong[subject, other, name, first, last] += 1
                categories = (
                    (subject, own.category, guess and guess.subject_category),
                    (other, own.categories[column], guess and guess.object_category),
                )
                for i, category, word in categories:
                    if word is not None and word != names.objects[category]:
                        wrong[None, i, names.objects[category]] += 1
    found = [Correction(weight, *what) for what, weight in wrong.items()]
    return sorted(found, key=lambda c: (-c.weight, c.object_id, c.name, c.first))


def correct(session: Session, correction: Correction) -> None:
    """Make a correction in a session."""
    if correction.subject_id is None:
        session.rename(correction.object_id, correction.name)
    else:
        session.set_predicate(*correction[1:])


def _predicates(own: SubjectTruth) -> dict[tuple[int, int], set[int]]:
    """Return the true predicates by (frame, column)."""
    found: dict[tuple[int, int], set[int]] = {}
    for t, column, predicate in own.units.tolist():
        found.setdefault((t, column), set()).add(predicate)
    return found


def _spans(own: SubjectTruth) -> Iterable[tuple[int, int, int, int]]:
    """Yield (column, predicate, first, last) of the gapless spans of the relations."""
    for column, predicate in np.unique(own.units[:, 1:], axis=0).tolist():
        rows = (own.units[:, 1:] == (column, predicate)).all(axis=1)
        for first, last in merge_spans(own.units[rows, 0]):
            yield column, predicate, first, last
