"""Heat maps computed by hand, the points drawn from them, and the oracle."""

import numpy as np
import pytest

from c2g_jax.evaluation.ground_truth import video_truth
from c2g_jax.evaluation.heuristic import Heuristic, Oracle, deepest, heat_map
from c2g_jax.evaluation.protocol import Protocol
from c2g_jax.evaluation.trials import Trial
from c2g_jax.types import InputError
from tests.evaluation.scripted_model import dataset

CATEGORIES = {i: 20 + i for i in (1, 2, 3, 4)}


def still(total: int) -> np.ndarray:
    """1 at the top left, 2 beside it, 3 over the lower half but for its last row."""
    segments = np.zeros((total, 4, 4), np.uint8)
    segments[:, :2, :2], segments[:, :2, 2], segments[:, 2, :] = 1, 2, 3
    return segments


def heat(videos, cells=2, split="toy_train", **options):
    return heat_map(dataset(videos, CATEGORIES, split), "train", cells, **options)


def test_the_heat_of_one_frame_by_hand():
    # 2 covers half of the second cell, 3 half of both lower ones.
    relations = [(1, 2, 0, 0, 0), (1, 3, 0, 0, 0)]
    np.testing.assert_allclose(
        heat({"a": (still(1), relations)}), [[0, 0.5], [0.5, 0.5]]
    )


def test_every_pair_counts_once_whatever_is_said_of_it():
    relations = [
        (1, 3, 0, 0, 0),
        (1, 3, 5, 0, 0),  # the same pair in other words
        (2, 3, 0, 0, 0),  # another subject: the object counts again
        (3, 3, 0, 0, 0),  # itself
        (4, 2, 0, 0, 0),  # of what is out of view
        (1, 4, 0, 0, 0),
    ]
    np.testing.assert_allclose(heat({"a": (still(1), relations)}), [[0, 0], [1, 1]])


def test_the_first_frame_of_each_chunk_counts():
    moved = still(18)
    moved[8:16] = moved[8:16, ::-1]  # the second chunk upside down: 3 is in row 1
    told = []
    found = heat({"a": (moved, [(1, 3, 0, 0, 15)])}, advance=told.append)
    np.testing.assert_allclose(found, [[0.5, 0.5], [0.5, 0.5]])
    assert told == [8, 8, 2]


def test_videos_of_any_size_share_one_grid():
    wide = np.zeros((1, 3, 6), np.uint8)
    wide[0, 0, 0], wide[0, :, 3:] = 1, 2
    found = heat({"a": (still(1), [(1, 2, 0, 0, 0)]), "b": (wide, [(1, 2, 0, 0, 0)])})
    np.testing.assert_allclose(found, [[0, 1.5], [0, 1]])


def test_cells_finer_than_pixels_share_them():
    found = heat({"a": (still(1), [(1, 2, 0, 0, 0)])}, cells=8)
    want = np.zeros((8, 8))
    want[:4, 4:6] = 1
    np.testing.assert_allclose(found, want)


def trial(run: int = 0, subject: int = 1) -> Trial:
    relations = [(1, 2, 0, 0, 0), (1, 3, 0, 0, 0), (2, 3, 0, 0, 0), (1, 3, 4, 0, 0)]
    (video,) = dataset({"a": (still(2), relations)}, CATEGORIES).videos("val")
    truths = video_truth(video, Protocol()).subjects
    (own,) = [truth for truth in truths if truth.subject_id == subject]
    return Trial("heuristic", "point", run, 0, own)


def test_cells_are_drawn_as_often_as_they_are_hot():
    grid = np.array([[0.0, 1.0], [3.0, 0.0]])
    point_source, counts = Heuristic(grid, 1), np.zeros((2, 2))
    own, segments = trial(), still(1)[0]
    for frame in range(2000):
        ((x, y),) = point_source.points(own, "a", frame, segments)
        assert (x, y) in [(0.75, 0.25), (0.25, 0.75)]  # the middle of the cell
        counts[int(2 * y), int(2 * x)] += 1
    assert counts[1, 0] / 2000 == pytest.approx(0.75, abs=0.03)


def test_no_cell_is_drawn_twice_on_a_frame_where_there_are_enough():
    point_source = Heuristic(np.eye(3), 3)
    for frame in range(20):
        points = point_source.points(trial(), "a", frame, still(1)[0])
        assert sorted(points[:, 0].tolist()) == pytest.approx([1 / 6, 1 / 2, 5 / 6])
    few = Heuristic(np.array([[0.0, 2.0], [0.0, 0.0]]), 3)
    np.testing.assert_allclose(
        few.points(trial(), "a", 0, still(1)[0]), [[0.75, 0.25]] * 3
    )


def test_points_are_drawn_anew_for_each_frame_run_and_subject():
    point_source = Heuristic(np.ones((64, 64)), 3)
    asked = [
        (trial(0), "a", 0),
        (trial(0), "a", 1),
        (trial(1), "a", 0),
        (trial(0, subject=2), "a", 0),
        (trial(0), "b", 0),
    ]
    drawn = [point_source.points(*key, still(1)[0]).tobytes() for key in asked]
    assert len(set(drawn)) == len(asked)
    again = [point_source.points(*key, still(1)[0]).tobytes() for key in asked]
    assert drawn == again


def test_there_must_be_something_to_draw_from():
    with pytest.raises(InputError, match="nothing to draw the heuristic's points from"):
        Heuristic(np.zeros((4, 4)), 3)


def test_the_oracle_points_into_the_true_objects():
    segments = np.zeros((20, 20), np.uint8)
    segments[:4, :4], segments[5:10, 4:9], segments[12:19, 2:9] = 1, 2, 3
    point_source = Oracle(3)
    points = point_source.points(trial(), "a", 0, segments)
    # The middle of each, and no third point; one for a pair in two words.
    np.testing.assert_allclose(points[:2] * 20, [[6.5, 7.5], [5.5, 15.5]], atol=1e-5)
    assert np.isnan(points[2]).all()
    assert np.isnan(
        point_source.points(trial(), "a", 1, segments)
    ).all()  # nothing holds
    (only,) = point_source.points(trial(subject=2), "a", 0, segments)[:1]
    np.testing.assert_allclose(only * 20, [5.5, 15.5], atol=1e-5)
    # With fewer queries than objects the first ones count.
    assert Oracle(1).points(trial(), "a", 0, segments).shape == (1, 2)
    # Another frame is discovery_frames at anew.
    moved = np.roll(segments, 1, axis=1)
    np.testing.assert_allclose(
        point_source.points(trial(), "b", 0, moved)[:1] * 20, [[7.5, 7.5]], atol=1e-5
    )


def test_the_deepest_pixel_of_a_ring_is_in_the_ring():
    mask = np.zeros((9, 9), bool)
    mask[1:8, 1:8], mask[3:6, 3:6] = True, False
    x, y = deepest(mask) * 9
    assert mask[int(y), int(x)]
