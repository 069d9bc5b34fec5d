"""Model outputs as metric inputs: IoUs at video size, labels and confidences."""

from types import SimpleNamespace

import jax
import numpy as np
import pytest
from flax import nnx
from scipy import ndimage

from c2g_jax.click2graph.geometry import mask_moments
from c2g_jax.click2graph.model import Scene
from c2g_jax.click2graph.sch import BestTriplet, Sch, SchConfig, best_triplets
from c2g_jax.evaluation.ground_truth import SubjectTruth
from c2g_jax.evaluation.overlaps import coded_frame, ious
from c2g_jax.evaluation.protocol import Protocol
from c2g_jax.evaluation.scene_predictions import (
    ClassIds,
    SubjectRows,
    TrueFrame,
    overlaps,
    predictions_of_scene,
)
from c2g_jax.media.rle import encode_mask
from c2g_jax.sam2.track import Segmentation
from c2g_jax.tracking.state import NativeMasks
from c2g_jax.types import NO_CLASS
from c2g_jax.vocabulary import Vocabulary

SPOKEN = Vocabulary(("cat", "unicorn", "ball"), (), ("on", "holding"))
KNOWN = Vocabulary(("ball", "hat", "cat"), ("sky",), ("holding", "in", "on"))
CLASSES = ClassIds(SimpleNamespace(vocabulary=SPOKEN, trained=True), KNOWN)
# Subject 1 does 0 with object 2 and 2 with object 3 on frame 4.
TRUTH = SubjectTruth(
    1, 2, np.int32([2, 3]), np.int32([0, 1]), np.int32([[4, 0, 0], [4, 1, 2]])
)


@pytest.mark.parametrize("size", [(37, 53), (16, 16), (64, 48), (9, 90)])
def test_overlaps_are_those_of_run_lengths(size):
    rng = np.random.default_rng(sum(size))
    smooth = [ndimage.gaussian_filter(rng.normal(size=(16, 16)), 2) for _ in range(6)]
    logits = np.float32(smooth) - 0.02
    logits[4], logits[5] = -1024, 3  # nowhere, everywhere
    segments = np.kron(rng.integers(0, 4, (9, 9)), np.ones((8, 10)))
    segments = segments[: size[0], : size[1]].astype(np.uint8)
    ids = [1, 2, 3, 7]  # the last is not there
    masks = NativeMasks(dict(enumerate(logits)), *size)
    ours = [encode_mask(masks[i]) if masks[i].any() else None for i in range(6)]
    true = coded_frame(segments, ids).masks
    want = ious(ours, [true.get(i) for i in ids])
    found = overlaps(logits, TrueFrame(0, segments), ids)
    np.testing.assert_array_equal(found, want)
    assert 0 < found[:4].max() < 1


def scene(seed: int = 0, sch: Sch | None = None) -> Scene:
    """Row 0 the subject on the left, 1 and 2 the objects; of an image of 8 x 8."""
    rng = np.random.default_rng(seed)
    logits = np.full((4, 8, 8), -5, np.float32)
    logits[0, :, :3], logits[1, :4, 4:], logits[2, :, 6:] = 5, 5, 5
    pooled, pointers = rng.normal(size=(2, 4, 16)).astype(np.float32)
    moments = mask_moments(logits > 0)
    best = BestTriplet(
        np.array([0, 0, 0, 0]),
        np.array([0, 2, 1, 0]),
        np.array([0, 1, 0, 0]),
        np.array([0.1, 0.5, 0.75, 0.2]),
    )
    if sch is not None:
        owner = [0] * 4
        pairs = pooled[owner], pooled, pointers[owner], pointers
        pairs += moments[owner], moments
        named = jax.jit(lambda sch, *pairs: best_triplets(sch(*pairs)))
        best = BestTriplet(*map(np.asarray, named(sch, *pairs)))
    own_iou, odds = np.array([0.9, 0.5, 0.25, 0.0]), np.array([3, 1, 3, 1])
    rows = Segmentation(logits, own_iou, np.log(odds), pointers, None, None)
    return Scene(None, rows, (logits > 0).sum((1, 2)), np.eye(4), best, pooled, moments)


def segments() -> np.ndarray:
    picture = np.zeros((8, 8), np.uint8)
    picture[:, :4], picture[:4, 4:], picture[4:, 4:] = 1, 2, 3
    return picture


def subject_rows(
    points=((0.6, 0.1), (np.nan, np.nan), (0.1, 0.9), (1.0, 1.0)),
) -> SubjectRows:
    return SubjectRows(0, (1, 2), (12, 17), np.float32(points).reshape(-1, 2))


def predict(protocol=None, sch=None, frame=4, about=None, seen=None):
    frame = TrueFrame(frame, segments())
    protocol = protocol or Protocol()
    return predictions_of_scene(
        seen or scene(), about or subject_rows(), TRUTH, frame, CLASSES, protocol, sch
    )


def test_predictions_by_hand():
    found = predict()
    assert found.frame == 4
    assert found.subject_iou == 24 / 32
    assert found.ids.tolist() == [12, 17]
    # cat is 2 of the data set, unicorn none of it, ball 0; on is 2, holding 0.
    assert found.labels.tolist() == [[2, 0, 0], [2, -1, 2]]
    assert found.confidence.tolist() == [0.5, 0.75]
    # Row 2 has 16 pixels, 8 on each of the objects, which have 16 too.
    np.testing.assert_allclose(found.iou, [[1, 0], [1 / 3, 1 / 3]])
    # In object 2, no point, in the subject, and on the far corner of object 3.
    assert found.points.tolist() == [0, -1, 1]
    assert found.peer_iou is None


def test_a_frame_without_a_unit_has_labels_alone():
    found = predict(frame=5)
    assert found.labels.tolist() == [[2, 0, 0], [2, -1, 2]]
    assert (found.subject_iou, found.iou.tolist()) == (0, [[0, 0], [0, 0]])
    assert not len(found.points)


def test_a_subject_without_objects_still_has_a_mask():
    alone = SubjectRows(0, (), (), np.zeros((0, 2), np.float32))
    found = predict(Protocol(mask_nms=0.5), about=alone)
    assert found.subject_iou == 24 / 32
    assert found.labels.shape == (0, 3)
    assert found.iou.shape == (0, 2)
    assert found.peer_iou.shape == (0, 0)


def test_the_three_kinds_of_confidence():
    weight = {
        "product": [0.5, 0.75],
        "times_object": [0.5 / 2, 0.75 * 3 / 4],  # odds 1 and 3 that it is in view
        "times_iou": [0.5 * 0.5, 0.75 * 0.25],
    }
    for confidence, want in weight.items():
        found = predict(Protocol(confidence=confidence))
        np.testing.assert_allclose(found.confidence, want, rtol=1e-6)


def test_masks_are_compared_with_one_another_for_nms():
    found = predict(Protocol(mask_nms=0.5))
    np.testing.assert_allclose(found.peer_iou, [[1, 1 / 3], [1 / 3, 1]])


def test_every_predicate_of_each_query():
    config = SchConfig(d_model=16, hidden=8, num_objects=3, num_predicates=2)
    sch = Sch(config, rngs=nnx.Rngs(0))
    seen = scene(sch=sch)
    one = predict(sch=sch, seen=seen)
    every = predict(Protocol(multi_predicate=True, mask_nms=0.5), sch, seen=seen)
    assert every.ids.tolist() == [12, 12, 17, 17]
    assert every.labels[:, 2].tolist() == [2, 0, 2, 0]
    np.testing.assert_array_equal(every.iou, np.repeat(one.iou, 2, axis=0))
    assert every.peer_iou.shape == (4, 4)
    assert every.peer_iou[0, 1] == 1
    for row in range(2):
        own = slice(2 * row, 2 * row + 2)
        best = 2 * row + int(np.argmax(every.confidence[own]))
        np.testing.assert_allclose(
            every.confidence[best], one.confidence[row], rtol=1e-6
        )
        np.testing.assert_array_equal(every.labels[best], one.labels[row])
        np.testing.assert_array_equal(every.labels[own, :2], one.labels[[row, row], :2])
    scored_by = predict(
        Protocol(multi_predicate=True, confidence="times_iou"), sch, seen=seen
    )
    np.testing.assert_allclose(
        scored_by.confidence, every.confidence * [0.5, 0.5, 0.25, 0.25], rtol=1e-6
    )


def test_labels_of_untrained_heads_are_no_labels():
    untrained = ClassIds(SimpleNamespace(vocabulary=SPOKEN, trained=False), KNOWN)
    assert set(untrained.objects.tolist()) == {NO_CLASS}
    assert set(untrained.predicates.tolist()) == {NO_CLASS}
