"""What the rows of a frame say of one subject, as the metrics want it."""

from collections.abc import Sequence
from typing import NamedTuple

import jax
import numpy as np
from jaxtyping import Array, Float

from c2g_jax.click2graph.model import Click2GraphConfig, Scene
from c2g_jax.click2graph.sch import Sch
from c2g_jax.evaluation.ground_truth import SubjectTruth
from c2g_jax.evaluation.metrics import FramePredictions
from c2g_jax.evaluation.overlaps import columns_of, pixels
from c2g_jax.evaluation.predictions import LabelIds
from c2g_jax.evaluation.protocol import TIMES_IOU, TIMES_OBJECT, Protocol
from c2g_jax.sam2.predictors.postprocess import enlarge_logits, window_above
from c2g_jax.vocabulary import Vocabulary


class TrueFrame(NamedTuple):
    """The truth of one frame."""

    number: int
    segments: np.ndarray  # uint8 [H, W], the id of the object at each pixel
    areas: np.ndarray  # int [256], pixels of each id


class SubjectRows(NamedTuple):
    """What a subject in view is seen with on a frame, in rows of the scene."""

    subject: int
    rows: Sequence[int]  # of the k objects
    ids: Sequence[int]  # by which the objects go
    points: np.ndarray  # float32 [q, 2], (x, y) in [0, 1]; nan where there is none


class Said(NamedTuple):
    """n predictions of k objects, n / k of each in turn."""

    labels: np.ndarray  # int [n, 3]: subject, object, predicate
    confidence: np.ndarray  # float [n]


class ClassIds:
    """The classes of a model as the numbers that a data set has for their names."""

    def __init__(self, config: Click2GraphConfig, vocabulary: Vocabulary):
        names, own = LabelIds(vocabulary), config.vocabulary
        self.objects = np.array([names.object(name) for name in own.objects])
        self.predicates = np.array([names.predicate(name) for name in own.predicates])


def true_frame(number: int, segments: np.ndarray) -> TrueFrame:
    """The truth of a frame from its picture of ids."""
    return TrueFrame(number, segments, np.bincount(segments.ravel(), minlength=256))


def predictions_of_scene(
    scene: Scene,
    met: SubjectRows,
    truth: SubjectTruth,
    frame: TrueFrame,
    classes: ClassIds,
    protocol: Protocol,
    sch: Sch,
) -> FramePredictions:
    """The guess for a subject, with overlaps where the frame has a unit of it.

    `scene` has arrays of the host.
    """
    said = _say(scene, met, classes, protocol, sch)
    each = len(said.confidence) // max(len(met.rows), 1)
    guess = FramePredictions(
        frame.number,
        0.0,
        np.repeat(np.array(met.ids, int), each),
        said.labels,
        said.confidence,
        np.zeros((len(said.confidence), len(truth.objects))),
        np.zeros(0, int),
    )
    if frame.number not in truth.frames:
        return guess
    logits = scene.rows.mask_logits
    of_subject = overlaps(logits[[met.subject]], frame, [truth.subject_id])
    of_objects = overlaps(logits[list(met.rows)], frame, truth.objects)
    peers = None
    if protocol.mask_nms:
        peers = _peers(logits[list(met.rows)], frame).repeat(each, 0).repeat(each, 1)
    return guess._replace(
        subject_iou=float(of_subject[0, 0]),
        iou=np.repeat(of_objects, each, axis=0),
        points=_columns_under(met.points, truth, frame),
        peer_iou=peers,
    )


def overlaps(
    logits: np.ndarray, frame: TrueFrame, ids: Sequence[int] | np.ndarray
) -> np.ndarray:
    """float [n, g], IoU of n masks with g true objects at the size of the video.

    logits float32 [n, h, w] are resized and cut at 0, each only where it can lie above:
    most masks are small. The pixels of all objects under a mask are counted at once.
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
    """float [k, k], the overlaps of masks with one another, at the size of the video.

    0 between two empty ones.
    """
    masks = enlarge_logits(logits, *frame.segments.shape) > 0
    flat = masks.reshape(len(masks), frame.segments.size).astype(np.float64)
    both, area = flat @ flat.T, flat.sum(axis=1)
    return both / np.maximum(area[:, None] + area - both, 1)


def _columns_under(
    points: np.ndarray, truth: SubjectTruth, frame: TrueFrame
) -> np.ndarray:
    """The column of the object under each point, -1 where there is none: int [q]."""
    points = points[~np.isnan(points).any(axis=1)]
    height, width = frame.segments.shape
    x, y = pixels(points * np.float32([width, height]), height, width)
    return columns_of(frame.segments[y, x].astype(int), truth.objects)


def _say(
    scene: Scene, met: SubjectRows, classes: ClassIds, protocol: Protocol, sch: Sch
) -> Said:
    rows, best = list(met.rows), scene.triplets
    predicate = np.asarray(best.predicate[rows], int)[:, None]  # [k, 1], or all [k, p]
    weight = np.asarray(best.confidence[rows], float)[:, None]
    if protocol.multi_predicate and rows:
        weight = _speak_all(scene, met, sch)
        predicate = np.broadcast_to(np.arange(weight.shape[1]), weight.shape)
    if protocol.confidence == TIMES_OBJECT:
        score = np.asarray(scene.rows.object_score[rows], float)
        weight = weight / (1 + np.exp(-score))[:, None]
    elif protocol.confidence == TIMES_IOU:
        weight = weight * np.asarray(scene.rows.iou[rows], float)[:, None]
    words = [
        np.broadcast_to(classes.objects[best.subject[rows]][:, None], weight.shape),
        np.broadcast_to(classes.objects[best.object[rows]][:, None], weight.shape),
        classes.predicates[predicate],
    ]
    return Said(np.stack(words, axis=-1).reshape(-1, 3), weight.ravel())


def _speak_all(scene: Scene, met: SubjectRows, sch: Sch) -> np.ndarray:
    """float [k, p], p_s * p_o * p_r of each predicate for each object."""
    rows = [*met.rows, *[met.subject] * (-len(met.rows) % 4)]  # few shapes
    subjects = [met.subject] * len(rows)
    pooled, pointers = scene.pooled, scene.rows.obj_ptr
    pairs = pooled[subjects], pooled[rows], pointers[subjects], pointers[rows]
    return np.asarray(_confidences(sch, *pairs), float)[: len(met.rows)]


@jax.jit
def _confidences(
    sch: Sch,
    subject_feature: Float[Array, "n c"],
    object_feature: Float[Array, "n c"],
    subject_pointer: Float[Array, "n c"],
    object_pointer: Float[Array, "n c"],
) -> Float[Array, "n p"]:
    """As `sch.best_triplets` has it for the best predicate, for all of them."""
    logits = sch(subject_feature, object_feature, subject_pointer, object_pointer)
    subject = jax.nn.softmax(logits.subject).max(axis=-1, keepdims=True)
    other = jax.nn.softmax(logits.object)[..., :-1].max(axis=-1, keepdims=True)
    return subject * other * jax.nn.softmax(logits.predicate)[..., :-1]
