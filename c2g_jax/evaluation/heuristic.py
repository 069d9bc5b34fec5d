"""Object points without DIDM: the paper's heuristic, and an oracle.

The heuristic (arXiv 2511.15948, Table 4) draws the points of every frame from a heat
map of where the objects of relations lie in the train split, whatever the subject. The
oracle points at the true objects: an upper bound of discovery.
"""

from collections import Counter
from collections.abc import Callable

import numpy as np

from c2g_jax.click2graph.pooling import area_matrix
from c2g_jax.data.dataset import CHUNK, Dataset
from c2g_jax.data.prompts import interior_distance, stable_seed
from c2g_jax.data.records import VideoRecord
from c2g_jax.evaluation.trials import Trial
from c2g_jax.types import InputError

TRAIN = "train"


class Heuristic:
    """Draws cells of a heat map, float [c, c], anew on every frame."""

    def __init__(self, heat: np.ndarray, queries: int):
        self.cells, self.queries = len(heat), queries
        if not heat.sum() > 0:
            raise InputError(
                "nothing to draw the heuristic's points from: the train split has no "
                "relations: prepare one that has"
            )
        self.probabilities = heat.ravel() / heat.sum()
        # A cell is drawn once on a frame, if there are enough of them.
        self.replace = np.count_nonzero(heat) < queries

    def points(
        self, trial: Trial, video_id: str, frame: int, segments: np.ndarray
    ) -> np.ndarray:
        """Return float32 [q, 2], (x, y) in [0, 1]; deterministic for a frame."""
        seed = stable_seed(
            video_id, trial.truth.subject_id, trial.run, "heuristic", frame
        )
        chosen = np.random.default_rng(seed).choice(
            self.cells**2, self.queries, self.replace, self.probabilities
        )
        y, x = np.divmod(chosen, self.cells)
        return ((np.stack([x, y], axis=1) + 0.5) / self.cells).astype(np.float32)


class Oracle:
    """Points at the innermost pixel of each true object of the subject.

    With more objects than queries, those with the smallest ids.
    """

    def __init__(self, queries: int):
        self.queries = queries
        # A frame, and its points by object; replaced as one, for threads share it.
        self._held: tuple[tuple[str, int], dict[int, np.ndarray]] = (("", -1), {})

    def points(
        self, trial: Trial, video_id: str, frame: int, segments: np.ndarray
    ) -> np.ndarray:
        """Return float32 [q, 2], (x, y) in [0, 1], NaN where there are no more objects.

        `segments` uint8 [H, W] are the true ids of the frame.
        """
        held = self._held
        if held[0] != (video_id, frame):
            held = self._held = ((video_id, frame), {})
        known = held[1]
        found = np.full((self.queries, 2), np.nan, np.float32)
        pairs = trial.truth.pairs
        columns = pairs[pairs[:, 0] == frame, 1][: self.queries]
        for row, object_id in enumerate(trial.truth.objects[columns].tolist()):
            if object_id not in known:
                known[object_id] = deepest(segments == object_id)
            found[row] = known[object_id]
        return found


def deepest(mask: np.ndarray) -> np.ndarray:
    """Return float32 [2], the innermost pixel of bool [H, W], as (x, y) in [0, 1]."""
    y, x = np.unravel_index(np.argmax(interior_distance(mask)), mask.shape)
    height, width = mask.shape
    return np.array([(x + 0.5) / width, (y + 0.5) / height], np.float32)


def heat_map(
    dataset: Dataset,
    split: str,
    cells: int,
    advance: Callable[[int], object] = lambda frames: None,
) -> np.ndarray:
    """Return float64 [cells, cells], where the objects of relations lie, rows first.

    For every true (subject, object) pair on a frame, the share of each cell that the
    object covers; summed over the first frame of each stored chunk of all videos, some
    1.6 seconds apart. `advance` is called with the number of frames done.
    """
    heat = np.zeros((cells, cells))
    for video in dataset.videos(split):
        for first in range(0, video.num_frames, CHUNK):
            objects = _related(video, first)
            if objects:
                segments = dataset.read_masks(video, [first])[0]
                for object_id, subjects in objects.items():
                    heat += subjects * _cover(segments == object_id, cells)
            advance(min(CHUNK, video.num_frames - first))
    return heat


def _related(video: VideoRecord, frame: int) -> dict[int, int]:
    """Return {object: number of its subjects} on a frame, with both in view."""
    pairs = video.relations[video.valid_relations[:, frame], :2].tolist()
    return Counter(other for _, other in {(s, o) for s, o in pairs if s != o})


def _cover(mask: np.ndarray, cells: int) -> np.ndarray:
    """Return float64 [cells, cells], the share of each cell that bool [H, W] covers."""
    rows, columns = (area_matrix(side, cells) for side in mask.shape)
    return rows.astype(np.float64) @ mask @ columns.T
