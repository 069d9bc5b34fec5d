"""The paper's loss by hand, on clips of one frame and a few pixels."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from c2g_jax.click2graph.clip import Queries
from c2g_jax.click2graph.didm import DidmOutput
from c2g_jax.click2graph.loss import RelationLoss, class_terms
from c2g_jax.click2graph.matching import CLIP, assign
from c2g_jax.click2graph.targets import ClipTargets, clip_targets
from c2g_jax.types import InputError
from tests.click2graph.by_hand import (
    CLASSES,
    PREDICATES,
    prediction,
    queries,
    targets,
)

FAR = (0.9, 0.9)


def test_points_are_matched_and_measured_by_hand():
    found = queries([(0.1, 0.1), (0.9, 0.9), (0.5, 0.5)])
    true = targets([(0.8, 0.9), (0.2, 0.2)], [[1, 0], [0, 1]])
    objects, matched = assign(RelationLoss(), found, true)
    assert matched[0, 0].tolist() == [True, True, False]
    assert objects[0, 0].tolist() == [1, 0, 0]
    error = RelationLoss().point_error(found.points, true, objects, matched)
    assert float(error) == pytest.approx((0.02 + 0.01) / 2, abs=1e-6)


def test_an_object_without_relation_is_nothing_to_find():
    found = queries([(0.1, 0.1), (0.9, 0.9)])
    true = targets([(0.9, 0.9), (0.1, 0.1)], [[0, 0], [1, 0]])
    objects, matched = assign(RelationLoss(), found, true)
    assert matched[0, 0].tolist() == [True, False]
    assert objects[0, 0, 0] == 1


def test_per_clip_a_query_stays_on_its_object():
    found = queries([(0.2, 0.2), (0.8, 0.8)], t=3)
    # The two objects change places on the last frame.
    swapped = [[(0.2, 0.2), (0.8, 0.8)]] * 2 + [[(0.8, 0.8), (0.2, 0.2)]]
    true = targets(swapped, [[1, 0], [1, 0]], t=3)
    objects, _ = assign(RelationLoss(), found, true)
    assert objects[:, 0].tolist() == [[0, 1], [0, 1], [1, 0]]
    objects, matched = assign(RelationLoss(match_per=CLIP), found, true)
    assert objects[:, 0].tolist() == [[0, 1]] * 3
    assert matched.all()


def test_per_clip_an_object_out_of_its_relation_is_not_matched():
    found = queries([(0.2, 0.2)], t=2)
    true = targets([(0.2, 0.2)], [[1, 0]], t=2)
    true = true._replace(predicates=true.predicates.at[1].set(False))
    _, matched = assign(RelationLoss(match_per=CLIP), found, true)
    assert matched[:, 0, 0].tolist() == [True, False]


def named(found, true, config=None, counts=None, key=0, weight=None):
    config = config or RelationLoss()
    objects, matched = assign(config, found, true)
    if weight is None:
        weight = jnp.where(matched, 1.0, config.none_weight)
    return class_terms(
        config, found, true, objects, matched, weight, jax.random.key(key), counts
    )


def with_logits(found, obj, predicate) -> Queries:
    shape = found.points.shape[:3]
    logits = found.class_logits._replace(
        object=jnp.broadcast_to(jnp.asarray(obj, jnp.float32), (*shape, CLASSES + 1)),
        predicate=jnp.broadcast_to(
            jnp.asarray(predicate, jnp.float32), (*shape, PREDICATES + 1)
        ),
    )
    return found._replace(class_logits=logits)


def test_cross_entropy_by_hand_with_a_query_that_found_none():
    found = queries([(0.1, 0.1), FAR])
    found = with_logits(found, np.log([0.5, 0.2, 0.1, 0.2]), np.log([0.7, 0.1, 0.2]))
    true = targets([(0.1, 0.1)], [[1, 0]])
    terms = named(found, true)
    # The first is of class 0 and predicate 0, the second "none", weighing a tenth.
    expected = -(np.log(0.5) + 0.1 * np.log(0.2)) / 1.1
    assert float(terms["object"]) == pytest.approx(expected, abs=1e-6)
    expected = -(np.log(0.7) + 0.1 * np.log(0.2)) / 1.1
    assert float(terms["predicate"]) == pytest.approx(expected, abs=1e-6)


def test_a_pair_with_two_predicates_draws_one_or_shares():
    found = with_logits(queries([(0.1, 0.1)]), [0] * 4, np.log([0.6, 0.3, 0.1]))
    true = targets([(0.1, 0.1)], [[1, 1]])
    drawn = {round(float(named(found, true, key=k)["predicate"]), 4) for k in range(20)}
    assert drawn == {round(-np.log(0.6), 4), round(-np.log(0.3), 4)}
    soft = named(found, true, RelationLoss(soft_predicates=True))["predicate"]
    assert float(soft) == pytest.approx(-np.log(0.6 * 0.3) / 2, abs=1e-5)


def test_what_is_out_of_view_teaches_no_names_and_no_masks():
    found = queries([(0.1, 0.1), FAR])
    found = found._replace(object_score=jnp.array([[[-1.0, 1.0]]]))
    true = targets([(0.1, 0.1)], [[1, 0]])
    _, terms = RelationLoss()(prediction(found), true, jax.random.key(0))
    assert float(terms["bce"]) == float(terms["dice"]) == 0.0
    assert float(terms["object"]) == pytest.approx(np.log(4), abs=1e-6)  # "none" alone


def test_a_lost_subject_teaches_nothing():
    found = queries([(0.1, 0.3), FAR])
    true = targets([(0.1, 0.1)], [[1, 0]])
    layers = DidmOutput(found.points, jnp.stack([found.points] * 2, axis=1))
    clip = prediction(found)._replace(discovered=layers)
    _, terms = RelationLoss()(clip, true, jax.random.key(0))
    assert float(terms["point"]) == pytest.approx(0.04, abs=1e-6)
    assert float(terms["layer_points"]) == pytest.approx(0.04, abs=1e-6)
    gone = clip.subjects._replace(object_score=jnp.full((1, 1), -1.0))
    clip = clip._replace(subjects=gone, at_truth=found)
    total, terms = RelationLoss(true_points=1.0)(clip, true, jax.random.key(0))
    assert float(total) == 0.0
    assert float(terms["matched"]) == 1.0  # counted, but not learned from


def test_long_tail_options_by_hand():
    counts = jnp.array([90.0, 10.0])
    found = with_logits(queries([(0.1, 0.1)]), [0] * 4, [1.0, 1.0, 1.0])
    true = targets([(0.1, 0.1)], [[0, 1]])
    adjusted = named(found, true, RelationLoss(logit_adjustment=1.0), counts)
    logs = np.log([90.0, 10.0]) - np.log([90.0, 10.0]).mean()
    logits = np.exp(1.0 + np.array([*logs, 0.0]))
    expected = -np.log(logits[1] / logits.sum())
    assert float(adjusted["predicate"]) == pytest.approx(expected, abs=1e-5)

    # Two pairs, one of each predicate: the rare one weighs more.
    found = with_logits(
        queries([(0.1, 0.1), (0.9, 0.9)]), [0] * 4, np.log([0.8, 0.1, 0.1])
    )
    true = targets([(0.1, 0.1), (0.9, 0.9)], [[1, 0], [0, 1]])
    beta = 0.99
    weighted = named(found, true, RelationLoss(effective_beta=beta), counts)
    w = (1 - beta) / (1 - beta ** np.array([90.0, 10.0]))
    expected = -(w[0] * np.log(0.8) + w[1] * np.log(0.1)) / w.sum()
    assert float(weighted["predicate"]) == pytest.approx(expected, abs=1e-5)


def test_the_total_is_the_sum_the_paper_writes():
    found = queries([(0.1, 0.2), (0.7, 0.9), (0.4, 0.4)])
    true = targets([(0.8, 0.9), (0.2, 0.2)], [[1, 0], [0, 1]])
    total, terms = RelationLoss(layer_points=False)(
        prediction(found), true, jax.random.key(0)
    )
    by_hand = (
        10 * terms["bce"]
        + terms["dice"]
        + terms["iou"]
        + 20 * terms["point"]
        + 10 * terms["subject"]
        + 10 * terms["object"]
        + 20 * terms["predicate"]
    )
    assert float(total) == pytest.approx(float(by_hand), rel=1e-6)
    assert float(terms["bce"]) == pytest.approx(np.log(2), abs=1e-6)
    assert float(terms["matched"]) == 1.0
    assert RelationLoss(true_points=0.5).weights()["shown_predicate"] == 10.0


def test_a_bystander_has_its_name_and_no_predicate():
    """At the true points of an object, and of a thing that is in no relation."""
    points = [(0.2, 0.2), (0.8, 0.8)]
    true = targets(points, [[1, 0], [0, 0]])
    names, predicates = np.log([0.5, 0.2, 0.1, 0.2]), np.log([0.7, 0.1, 0.2])
    shown = with_logits(queries(points), names, predicates)
    clip = prediction(queries(points))._replace(at_truth=shown)

    def taught(true, **options) -> tuple[float, float]:
        config = RelationLoss(true_points=1.0, **options)
        _, terms = config(clip, true, jax.random.key(0))
        return float(terms["shown_object"]), float(terms["shown_predicate"])

    alone = -np.log([0.5, 0.7])
    assert taught(true) == pytest.approx(alone, abs=1e-6)
    both = (alone - 0.5 * np.log([0.2, 0.2])) / 1.5  # class 1, and "none"
    assert taught(true, unrelated=0.5) == pytest.approx(both, abs=1e-6)
    hidden = true._replace(object_masks=true.object_masks.at[:, :, 1].set(0.0))
    assert taught(hidden, unrelated=0.5) == pytest.approx(alone, abs=1e-6)


def test_a_query_that_misses_its_object_is_taught_none():
    true = targets([(0.2, 0.2), (0.8, 0.8)], [[1, 0], [1, 0]])
    found = queries([(0.2, 0.2), (0.8, 0.8)])
    names, predicates = np.log([0.5, 0.2, 0.1, 0.2]), np.log([0.7, 0.1, 0.2])
    # The first mask is its object, the second is nowhere on its own.
    away = 1.0 - jnp.minimum(true.object_masks[0, 0, 1], 1.0)
    masks = jnp.stack([true.object_masks[0, 0, 0] > 0.5, away > 0.5])
    logits = jnp.where(masks, 5.0, -5.0)[None, None]
    found = with_logits(found._replace(mask_logits=logits), names, predicates)

    def taught(**options) -> tuple[float, float]:
        _, terms = RelationLoss(**options)(prediction(found), true, jax.random.key(0))
        return float(terms["object"]), float(terms["predicate"])

    both = -np.log([0.5 * 0.2, 0.7 * 0.7]) / 2  # of classes 0 and 1, and predicate 0
    assert taught() == pytest.approx(both, abs=1e-6)
    alone = -(np.log([0.5, 0.7]) + 0.1 * np.log([0.2, 0.2])) / 1.1
    assert taught(hit_iou=0.1) == pytest.approx(alone, abs=1e-6)
    for wrong in (-0.1, 2, float("nan")):
        with pytest.raises(InputError, match=f"hit_iou {wrong}: give an IoU, from 0"):
            RelationLoss(hit_iou=wrong)


def test_every_layer_is_matched_for_itself():
    found = queries([(0.2, 0.2), (0.8, 0.8)])
    true = targets([(0.2, 0.2), (0.8, 0.8)], [[1, 0], [1, 0]])
    swapped = found.points[:, :, ::-1] + 0.1
    layers = DidmOutput(found.points, jnp.stack([swapped, found.points], axis=1))
    clip = prediction(found)._replace(discovered=layers)
    _, terms = RelationLoss()(clip, true, jax.random.key(0))
    assert float(terms["point"]) == 0.0
    assert float(terms["layer_points"]) == pytest.approx(0.02, abs=1e-6)


def test_points_of_layers_are_summed_or_averaged():
    found = queries([(0.2, 0.2)])
    true = targets([(0.2, 0.2)], [[1, 0]])
    points = [found.points + 0.3, found.points + 0.1, found.points]
    layers = DidmOutput(found.points, jnp.stack(points, axis=1))
    clip = prediction(found)._replace(discovered=layers)

    def point_part(**options) -> float:
        with_points, without = (
            RelationLoss(point=point, **options)(clip, true, jax.random.key(0))[0]
            for point in (20.0, 0.0)
        )
        return float(with_points - without)

    assert point_part() == pytest.approx(20 * (0.18 + 0.02), rel=1e-4)
    mean = 20 * (0.18 + 0.02) / 3
    assert point_part(mean_layers=True) == pytest.approx(mean, rel=1e-4)


def test_padding_changes_nothing():
    found, true = (
        queries([(0.1, 0.2), (0.7, 0.9), (0.4, 0.4)]),
        targets([(0.8, 0.9), (0.2, 0.2)], [[1, 0], [0, 1]]),
    )
    config = RelationLoss(soft_predicates=True)  # nothing drawn

    def padded(x, axis):
        widths = [(0, 0)] * x.ndim
        widths[axis] = (0, 1)
        return jnp.pad(x, widths)

    more = ClipTargets(
        padded(true.subject_masks, 1),
        padded(true.subject_labels, 0),
        padded(true.subject_valid, 1),
        padded(padded(true.object_masks, 2), 1),
        padded(padded(true.object_labels, 1), 0),
        padded(padded(true.points, 2), 1),
        padded(padded(true.predicates, 2), 1),
    )
    _, plain = config(prediction(found), true, jax.random.key(0))
    wider = jax.tree.map(lambda x: jnp.concatenate([x, x], axis=1), found)
    _, terms = config(prediction(wider), more, jax.random.key(0))
    for name, value in plain.items():
        assert float(terms[name]) == pytest.approx(float(value), abs=1e-6), name


def test_targets_of_a_clip():
    segments = np.zeros((1, 4, 4), np.uint8)
    segments[0, :2, :2] = 7
    segments[0, 2:, 1:] = 9
    clip = {
        "segments": segments,
        "subjects": np.array([7, 0]),
        "subject_labels": np.array([4, 0]),
        "objects": np.array([[9, 0], [0, 0]]),
        "object_labels": np.array([[5, 0], [0, 0]]),
        "points": np.zeros((2, 2, 1, 2), np.float32),
        "predicates": np.zeros((2, 2, 1, 6), bool),
    }
    clip["points"][0, 0, 0] = 0.25, 0.5
    clip["predicates"][0, 0, 0, 3] = True
    true = clip_targets(clip, 2)
    assert true.subject_masks[0, 0].tolist() == [[1, 0], [0, 0]]
    assert true.object_masks[0, 0, 0].tolist() == [[0, 0], [0.5, 1]]
    assert not true.subject_masks[0, 1].any()  # padding is not the void
    assert true.subject_valid[0].tolist() == [True, False]
    assert true.points[0, 0, 0].tolist() == [0.25, 0.5]
    assert true.active[0].tolist() == [[True, False], [False, False]]


def test_an_unknown_way_to_match_is_refused():
    with pytest.raises(ValueError, match="match_per 'video': use frame or clip"):
        dataclasses.replace(RelationLoss(), match_per="video")
