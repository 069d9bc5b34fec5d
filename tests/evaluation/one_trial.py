"""A slow reference of the runner: one trial and one frame at a time, by pixels."""

import numpy as np

from c2g_jax.evaluation.metrics import FramePredictions
from c2g_jax.evaluation.protocol import Protocol
from c2g_jax.evaluation.runner import scoring_model
from c2g_jax.evaluation.trials import Trial, draw_prompt
from c2g_jax.tracking import loop as tracking
from c2g_jax.tracking.state import TrackingState
from tests.evaluation.twin import iou
from tests.scripted import model


def alone(dataset, video, trial: Trial, point_source, protocol: Protocol):
    """Return the predictions of one trial, tracked alone."""
    segments = dataset.read(video, 0, video.num_frames)[1]
    number = [v.video_id for v in dataset.videos("val")].index(video.video_id)
    last = video.num_frames - 1
    courses = [list(range(trial.frame, last + 1))]
    if protocol.directions == "both":
        courses.append(list(range(trial.frame, -1, -1)))
    guesses = {}
    for backward, course in enumerate(courses):
        place = last - trial.frame if backward else trial.frame
        state = TrackingState(16, 16, video.num_frames, next_id=1, frame=place)
        for t in course:
            told, points = [], None
            if t == trial.frame:
                told = [
                    draw_prompt(trial, 0, video.video_id, segments[t], 64, protocol)
                ]
            if point_source is not None:
                points = point_source.points(trial, video.video_id, t, segments[t])[
                    None
                ]
            pending = tracking.begin_frame(
                scoring_model(model(), protocol),
                state,
                (number, t),
                told,
                points,
            )
            output = tracking.finish_frame(scoring_model(model(), protocol), pending)
            state, result = output.after, tracking.frame_result(model(), output)
            guess = by_hand(result, segments[t], t, trial, dataset.vocabulary)
            if guess is not None:
                guesses[t] = guess
    return list(guesses.values())


def by_hand(result, segments, t, trial, names):
    """Return the predictions for the only subject of a frame, pixel by pixel."""
    (subject,) = result.subjects
    if subject.subject_id not in result.masks:
        return None
    true = [segments == i for i in trial.truth.objects]
    masks = [result.masks[x.object_id] for x in subject.triplets]
    words = [
        (
            names.objects.index(x.subject_category),
            names.objects.index(x.object_category),
            names.predicates.index(x.predicate),
        )
        for x in subject.triplets
    ]
    points = subject.points[~np.isnan(subject.points).any(axis=1)]
    under = [segments[int(y), int(x)] for x, y in points]
    objects, k = trial.truth.objects.tolist(), len(masks)
    subject_iou = iou(
        result.masks[subject.subject_id], segments == trial.truth.subject_id
    )
    return FramePredictions(
        t,
        subject_iou,
        np.array([x.object_id for x in subject.triplets], int),
        np.array(words, int).reshape(-1, 3),
        np.array([x.confidence for x in subject.triplets], float),
        np.array([[iou(m, o) for o in true] for m in masks]).reshape(-1, len(true)),
        np.array([objects.index(i) if i in objects else -1 for i in under], int),
        np.array([[iou(m, o) for o in masks] for m in masks]).reshape(k, k),
    )
