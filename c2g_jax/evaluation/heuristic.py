"""Discovery without DIDM: by where objects lie in training, or by the truth itself.

The heuristic is the paper's (arXiv 2511.15948, Table 4): of all that subjects are
related to in the train split a heat map is made, and the points of a frame are drawn
from it, whoever the subject is. The oracle points at the true objects: what it misses,
no discovery would find.
"""

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
    """Points at cells of a heat map float [c, c], by chance: anew on every frame."""

    def __init__(self, heat: np.ndarray, queries: int):
        self.cells, self.queries = len(heat), queries
        if not heat.sum() > 0:
            raise InputError(
                "nothing to draw the heuristic's points from: no subject of the train "
                "split is related to anything"
            )
        self.chances = heat.ravel() / heat.sum()
        self.fresh = np.count_nonzero(heat) >= queries  # no cell twice on a frame

    def points(
        self, trial: Trial, video_id: str, frame: int, segments: np.ndarray
    ) -> np.ndarray:
        """Points (x, y) in [0, 1], float32 [q, 2]; for a frame always the same."""
        seed = stable_seed(
            video_id, trial.truth.subject_id, trial.run, "heuristic", frame
        )
        chosen = np.random.default_rng(seed).choice(
            self.cells**2, self.queries, replace=not self.fresh, p=self.chances
        )
        y, x = np.divmod(chosen, self.cells)
        return ((np.stack([x, y], axis=1) + 0.5) / self.cells).astype(np.float32)


class Oracle:
    """Points at the deepest pixel of each object that the subject is related to.

    Of more objects than there are queries the first ones, by their ids.
    """

    def __init__(self, queries: int):
        self.queries = queries
        self._frame: tuple[str, int] | None = None
        self._known: dict[int, np.ndarray] = {}  # of that frame

    def points(
        self, trial: Trial, video_id: str, frame: int, segments: np.ndarray
    ) -> np.ndarray:
        """Points (x, y) in [0, 1], float32 [q, 2], nan in the rows that are left.

        `segments` uint8 [H, W] are the ids of the frame.
        """
        if self._frame != (video_id, frame):
            self._frame, self._known = (video_id, frame), {}
        found = np.full((self.queries, 2), np.nan, np.float32)
        pairs = trial.truth.pairs
        columns = pairs[pairs[:, 0] == frame, 1][: self.queries]
        for row, object_id in enumerate(trial.truth.objects[columns].tolist()):
            if object_id not in self._known:
                self._known[object_id] = deepest(segments == object_id)
            found[row] = self._known[object_id]
        return found


def deepest(mask: np.ndarray) -> np.ndarray:
    """The pixel furthest inside bool [H, W]: float32 [2], (x, y) in [0, 1]."""
    y, x = np.unravel_index(np.argmax(interior_distance(mask)), mask.shape)
    height, width = mask.shape
    return np.array([(x + 0.5) / width, (y + 0.5) / height], np.float32)


def heat_map(
    dataset: Dataset,
    split: str,
    cells: int,
    advance: Callable[[int], object] = lambda frames: None,
) -> np.ndarray:
    """How often something lies where while a subject is related to it.

    float64 [cells, cells], rows from the top: for every true pair of subject and object
    on a frame the share of each cell that the object covers, added up over the first
    frame of each chunk that is stored, some 1.6 seconds apart. `advance` is told of
    frames as they are done with, all of the split in the end.
    """
    heat = np.zeros((cells, cells))
    for video in dataset.videos(split):
        for first in range(0, video.num_frames, CHUNK):
            objects = _related(video, first)
            if objects:
                segments = dataset.read_frames(video, [first])[1][0]
                for object_id, subjects in objects.items():
                    heat += subjects * _cover(segments == object_id, cells)
            advance(min(CHUNK, video.num_frames - first))
    return heat


def _related(video: VideoRecord, frame: int) -> dict[int, int]:
    """{object: how many subjects are related to it} on a frame, all of them in view."""
    there = video.relations[video.valid_relations[:, frame], :2].tolist()
    found: dict[int, int] = {}
    for _, other in {(s, o) for s, o in there if s != o}:
        found[other] = found.get(other, 0) + 1
    return found


def _cover(mask: np.ndarray, cells: int) -> np.ndarray:
    """The share of each cell that bool [H, W] covers: float64 [cells, cells]."""
    rows, columns = (area_matrix(side, cells) for side in mask.shape)
    return rows.astype(np.float64) @ mask @ columns.T
