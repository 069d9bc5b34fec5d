"""The model's outputs on a frame as metric inputs, for one subject."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np

from c2g_jax.click2graph.model import Click2GraphConfig, Scene
from c2g_jax.click2graph.sch import Sch
from c2g_jax.evaluation.ground_truth import SubjectTruth
from c2g_jax.evaluation.metrics import FramePredictions
from c2g_jax.evaluation.overlaps import columns_of, pixels
from c2g_jax.evaluation.predictions import LabelIds
from c2g_jax.evaluation.protocol import TIMES_IOU, TIMES_OBJECT, Protocol
from c2g_jax.sam2.predictors.postprocess import enlarge_logits, window_above
from c2g_jax.tracking.frame_result import scene_confidences
from c2g_jax.types import NO_CLASS
from c2g_jax.vocabulary import Vocabulary


@dataclass(frozen=True, eq=False)
class TrueFrame:
    """The true masks of one frame, as an image of ids."""

    number: int
    segments: np.ndarray  # uint8 [H, W], the id of the object at each pixel

    @cached_property
    def areas(self) -> np.ndarray:
        """int [256]: the number of pixels of each id."""
        return np.bincount(self.segments.ravel(), minlength=256)


class SubjectRows(NamedTuple):
    """The rows of the scene that hold a visible subject and its k visible objects."""

    subject: int
    rows: Sequence[int]  # of the objects
    ids: Sequence[int]  # of the objects
    points: np.ndarray  # float32 [q, 2], (x, y) in [0, 1]; NaN for none


class ClassIds:
    """The data set's ids of the model's classes, by class index."""

    def __init__(self, config: Click2GraphConfig, vocabulary: Vocabulary):
        names, own = LabelIds(vocabulary), config.vocabulary
        self.objects = np.array([names.object(name) for name in own.objects])
        self.predicates = np.array([names.predicate(name) for name in own.predicates])
        if not config.trained:  # its labels mean nothing, and count as no label
            self.objects[:] = self.predicates[:] = NO_CLASS


def predictions_of_scene(
    scene: Scene,
    found: SubjectRows,
    truth: SubjectTruth,
    frame: TrueFrame,
    classes: ClassIds,
    protocol: Protocol,
    sch: Sch,
) -> FramePredictions:
    """Return the predictions for a subject; IoUs only on frames with a unit of it.

    The arrays of `scene` are on the host.
    """
    labels, confidence = _labels(scene, found, classes, protocol, sch)
    each = len(confidence) // max(len(found.rows), 1)  # predictions of each object
    ids = np.repeat(np.array(found.ids, int), each)
    predictions = FramePredictions.of_labels(
        frame.number, ids, labels, confidence, truth
    )
    if frame.number not in truth.frames:
        return predictions
    logits = scene.rows.mask_logits
    of_subject = overlaps(logits[[found.subject]], frame, [truth.subject_id])
    of_objects = overlaps(logits[list(found.rows)], frame, truth.objects)
    peers = None
    if protocol.mask_nms:
        peers = _peers(logits[list(found.rows)], frame).repeat(each, 0).repeat(each, 1)
    return predictions._replace(
        subject_iou=float(of_subject[0, 0]),
        iou=np.repeat(of_objects, each, axis=0),
        points=_columns_under(found.points, truth, frame),
        peer_iou=peers,
    )


def overlaps(
    logits: np.ndarray, frame: TrueFrame, ids: Sequence[int] | np.ndarray
) -> np.ndarray:
    """Return float [n, g], the IoUs of n masks with g true objects, at video size.

    logits float32 [n, h, w] are resized to the video and thresholded at 0. Only the
    window that can be above 0 is resized, as most masks are small; the pixels of all
    objects under a mask are counted at once.
    """
    found, ids = np.zeros((len(logits), len(ids))), np.asarray(ids, int)
    for row, own in enumerate(logits):
        window = window_above(own, 0.0, *frame.segments.shape)
        mask = enlarge_logits(own, *frame.segments.shape, window) > 0
        under = np.bincount(frame.segments[window][mask], minlength=256)
        both = under[ids]
        union = under.sum() + frame.areas[ids] - both
        found[row] = both / np.maximum(union, 1)
    return found


def _peers(logits: np.ndarray, frame: TrueFrame) -> np.ndarray:
    """Return float [k, k], the IoUs among masks at video size; 0 for two empty ones."""
    masks = enlarge_logits(logits, *frame.segments.shape) > 0
    flat = masks.reshape(len(masks), frame.segments.size).astype(np.float64)
    both, area = flat @ flat.T, flat.sum(axis=1)
    return both / np.maximum(area[:, None] + area - both, 1)


def _columns_under(
    points: np.ndarray, truth: SubjectTruth, frame: TrueFrame
) -> np.ndarray:
    """Return int [q], the index of the true object at each point, -1 for none."""
    points = points[~np.isnan(points).any(axis=1)]
    height, width = frame.segments.shape
    x, y = pixels(points * np.float32([width, height]), height, width)
    return columns_of(frame.segments[y, x].astype(int), truth.objects)


def _labels(
    scene: Scene, found: SubjectRows, classes: ClassIds, protocol: Protocol, sch: Sch
) -> tuple[np.ndarray, np.ndarray]:
    """Return labels int [n, 3] and confidences float [n], n / k for each object."""
    rows, best = list(found.rows), scene.triplets
    predicate = np.asarray(best.predicate[rows], int)[:, None]  # [k, 1], or all: [k, p]
    weight = np.asarray(best.confidence[rows], float)[:, None]
    if protocol.multi_predicate and rows:
        weight = scene_confidences(sch, scene, found.subject, rows)
        predicate = np.broadcast_to(np.arange(weight.shape[1]), weight.shape)
    if protocol.confidence == TIMES_OBJECT:
        score = np.asarray(scene.rows.object_score[rows], float)
        weight = weight / (1 + np.exp(-score))[:, None]
    elif protocol.confidence == TIMES_IOU:
        weight = weight * np.asarray(scene.rows.iou[rows], float)[:, None]
    labels = [
        np.broadcast_to(classes.objects[best.subject[rows]][:, None], weight.shape),
        np.broadcast_to(classes.objects[best.object[rows]][:, None], weight.shape),
        classes.predicates[predicate],
    ]
    return np.stack(labels, axis=-1).reshape(-1, 3), weight.ravel()
