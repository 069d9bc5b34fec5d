"""Small videos with ground truth and predictions, by hand or at random."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from c2g_jax.data.records import VideoRecord
from c2g_jax.evaluation.ground_truth import SubjectTruth
from c2g_jax.evaluation.metrics import FramePredictions
from c2g_jax.evaluation.overlaps import coded_frame, columns_of, ious
from c2g_jax.media.rle import encode_mask


class Prediction(NamedTuple):
    """One prediction: the object's mask bool [H, W], its labels and confidence."""

    object_id: int
    mask: np.ndarray
    labels: tuple[int, int, int]
    confidence: float = 0.5


class PredictedFrame(NamedTuple):
    """All predictions for a subject on a frame; points in pixels."""

    subject: np.ndarray
    predictions: Sequence[Prediction]
    points: Sequence[tuple[float, float]] = ()


def video(
    segments: np.ndarray,
    relations: Sequence[tuple[int, int, int, int, int]],
    num_objects: int = 5,
    things: Sequence[bool] | None = None,
) -> VideoRecord:
    """A video of uint8 [t, H, W]; object i has the category 10 + i."""
    ids = np.arange(1, num_objects + 1, dtype=np.int32)
    total, height, width = segments.shape
    visible = [(i, t, t) for i in ids for t in range(total) if (segments[t] == i).any()]
    return VideoRecord(
        video_id="drawn",
        source="toy",
        split="toy_val",
        first_row=0,
        height=height,
        width=width,
        num_frames=total,
        fps=5.0,
        object_ids=ids,
        categories=ids + 10,
        is_thing=np.ones(num_objects, bool) if things is None else np.array(things),
        visible=np.array(visible, np.int32).reshape(-1, 3),
        relations=np.array(relations, np.int32).reshape(-1, 5),
    )


def frame_predictions(
    truth: SubjectTruth, segments: np.ndarray, seen: dict[int, PredictedFrame]
) -> list[FramePredictions]:
    """Make the metrics' input from predictions, with IoUs of run lengths."""
    found = []
    for t, frame in seen.items():
        coded = coded_frame(segments[t], [*truth.objects.tolist(), truth.subject_id])
        masks = [code(prediction.mask) for prediction in frame.predictions]
        true = coded.masks.get(truth.subject_id)
        ids = coded.ids_under(np.array(frame.points, float).reshape(-1, 2))
        found.append(
            FramePredictions(
                t,
                float(ious([code(frame.subject)], [true])[0, 0]),
                np.array(
                    [prediction.object_id for prediction in frame.predictions], int
                ),
                np.array([s.labels for s in frame.predictions], int).reshape(-1, 3),
                np.array(
                    [prediction.confidence for prediction in frame.predictions], float
                ),
                ious(masks, [coded.masks.get(int(i)) for i in truth.objects]),
                columns_of(ids, truth.objects),
                ious(masks, masks),
            )
        )
    return found


def code(mask: np.ndarray) -> dict | None:
    return encode_mask(mask) if mask.any() else None


def row(*ids: int) -> np.ndarray:
    """One frame of one row of pixels."""
    return np.array([ids], np.uint8)


def random_case(rng: np.random.Generator):
    """Return (video, segments, {t: PredictedFrame}): 5 objects on 5 x 6 pixels."""
    total = int(rng.integers(1, 5))
    segments = rng.integers(0, 6, (total, 5, 6)).astype(np.uint8)
    segments = np.where(rng.random(segments.shape) < 0.5, segments[:, :1, :1], segments)
    relations = []
    for _ in range(int(rng.integers(1, 9))):
        start, end = sorted(rng.integers(-1, total + 2, 2).tolist())
        other, predicate = int(rng.integers(1, 6)), int(rng.integers(3))
        relations.append((1, other, predicate, start, end))
    seen = {}
    for t in range(total):
        if rng.random() < 0.1:
            continue  # a frame without predictions
        predictions = []
        for _ in range(int(rng.integers(0, 6))):
            about = relations[int(rng.integers(len(relations)))]
            one, other = rng.choice([about[1], rng.integers(1, 6)]), rng.integers(1, 6)
            mask = segments[t] == one
            if rng.random() < 0.5:  # two objects in one mask: ties at an IoU of 0.5
                mask = mask | (segments[t] == other)
            mask = mask & (rng.random(mask.shape) < rng.choice([0.6, 1.0, 1.0]))
            labels = (
                int(rng.choice([11, 11, 11, 12])),
                int(rng.choice([10 + one, 10 + other, 10 + about[1]])),
                int(rng.choice([about[2], about[2], rng.integers(3)])),
            )
            confidence = float(rng.integers(1, 4)) / 4
            # An object has one mask on a frame, whatever its labels.
            number = int(rng.integers(100, 105))
            same = [s.mask for s in predictions if s.object_id == number]
            predictions.append(
                Prediction(number, same[0] if same else mask, labels, confidence)
            )
        subject = segments[t] == 1
        subject = subject & (rng.random(subject.shape) < rng.choice([0.5, 1.0, 1.0]))
        points = rng.uniform(0, [6, 5], (int(rng.integers(0, 4)), 2))
        seen[t] = PredictedFrame(
            subject, predictions, [tuple(p) for p in points.tolist()]
        )
    return video(segments, relations), segments, seen
