"""Videos of 16 x 16 pixels, and a scripted model with known outputs for them.

Based on `tests.scripted.World`: an object is a number, here also its id in the data
set. A prompt selects the object under it.
"""

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from c2g_jax.click2graph.model import Scene
from c2g_jax.click2graph.sch import BestTriplet
from c2g_jax.data.dataset import Dataset
from c2g_jax.data.prompts import mask_box
from c2g_jax.data.records import video_record
from c2g_jax.evaluation import trials
from c2g_jax.tracking import loop as tracking
from c2g_jax.types import BOX_FIRST
from tests.data.fake import chunks_of, plain_record
from tests.scripted import CONFIG, NOTHING, SIDE, World, rectangle

VOCABULARY = CONFIG.vocabulary
Relation = tuple[int, int, int, int, int]  # subject, object, predicate, first, last


def dataset(
    videos: Mapping[str, tuple[np.ndarray, Sequence[Relation]]],
    categories: Mapping[int, int],
    split: str = "toy_val",
    paint: Callable[[int, np.ndarray], np.ndarray] | None = None,
) -> Dataset:
    """A split of {name: (segments uint8 [t, H, W], relations)}.

    Frame t of video v is all of one colour, (t, v, 0), where paint(v, segments) does
    not give uint8 [t, H, W, 3].
    """
    paint = paint or _number
    records, chunks = [], []
    for number, (name, (segments, relations)) in enumerate(videos.items()):
        record = plain_record(name, segments, categories, relations)
        records.append(video_record(record, split, len(chunks)))
        chunks += chunks_of(name, "toy", paint(number, segments), segments)
    return Dataset("toy", VOCABULARY, {split: tuple(records)}, {split: chunks})


def _number(video: int, segments: np.ndarray) -> np.ndarray:
    colours = np.zeros((*segments.shape, 3), np.uint8)
    colours[..., 0] = np.arange(len(segments))[:, None, None]
    colours[..., 1] = video
    return colours


def mask_ious(masks: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """`click2graph.model.mask_ious` in NumPy, which is not compiled for each shape."""
    flat = masks.reshape(len(masks), -1).astype(np.float32)
    both, area = flat @ flat.T, flat.sum(axis=1)
    return area, both / np.maximum(area[:, None] + area - both, 1)


class Scripted(World):
    """Frames are known by (number of the video, number of the frame).

    segments: of each video, for what lies under a prompt. masks(thing, frame) -> bool
    [16, 16]; finds(subject, frame) -> 3 things; says(subject, object, frame) -> labels
    of subject, object and predicate, and the confidence.
    """

    def __init__(
        self,
        segments: Sequence[np.ndarray],
        masks: Callable[[int, tuple[int, int]], np.ndarray],
        finds: Callable[[int, tuple[int, int]], Sequence[int]],
        says: Callable[[int, int, tuple[int, int]], tuple[int, int, int, float]],
    ):
        super().__init__(masks, finds)
        self.segments, self.says = segments, says

    def install(self, monkeypatch) -> None:
        super().install(monkeypatch)
        monkeypatch.setattr(tracking, "segment_at_points", self.segment_at_points)
        monkeypatch.setattr(trials, "encode_frame", self.encode_frame)

    def under(self) -> np.ndarray:
        video, frame = self.frame
        return self.segments[video][frame]

    def encode_frame(self, sam2, image):
        assert image.shape == (SIDE, SIDE, 3)
        self.encoded += 1
        return int(image[0, 0, 1]), int(image[0, 0, 0])

    def follow(self, sam2, bank, features, frame, active, num_frames):
        self.frame = features
        things = np.where(active, bank.things, NOTHING)
        self.followed.append((features, tuple(things[active].tolist())))
        return bank, self.rows(things)

    def apply_prompts(self, sam2, features, answer, prompts, masks, by_points, by_mask):
        self.frame = features
        told = np.full(len(by_points), NOTHING) if answer is None else answer.obj_ptr
        told = told.copy()
        scale = SIDE // 16
        for slot in np.flatnonzero(by_points):
            coords = np.asarray(prompts.point_coords[slot]) / scale
            if prompts.point_labels[slot][0] == BOX_FIRST:
                told[slot] = self._boxed(coords[:2].reshape(4))
            else:
                x, y = np.round(coords[0]).astype(int)
                told[slot] = self.under()[y, x]
        for slot in np.flatnonzero(by_mask):
            given = masks[slot][::scale, ::scale] > 0
            told[slot] = np.bincount(self.under()[given]).argmax()
        return self.rows(told)

    def _boxed(self, box: np.ndarray) -> int:
        """Return the object with the closest box."""
        things = [i for i in np.unique(self.under()).tolist() if i]
        away = [np.abs(mask_box(self.under() == i) - box).sum() for i in things]
        return things[int(np.argmin(away))]

    def discover_objects(self, model, features, answer, subjects, owner):
        self.frame = features
        found, points = [], np.full((len(subjects), 3, 2), np.nan, np.float32)
        for i, slot in enumerate(subjects):
            found += self.finds(int(answer.obj_ptr[slot]), self.frame)
            for k, thing in enumerate(found[-3:]):
                for y, x in self._pixels(thing)[:1]:
                    points[i, k] = (x + 0.5) / 16, (y + 0.5) / 16
        return self._shown(answer, found, subjects, owner, points)

    def _pixels(self, thing: int) -> np.ndarray:
        if thing == NOTHING:
            return np.zeros((0, 2), int)
        return np.argwhere(self.masks(thing, self.frame))

    def segment_at_points(self, model, features, answer, subjects, owner, points):
        self.frame = features
        found = []
        for x, y in points.reshape(-1, 2).tolist():
            hit = (
                NOTHING if np.isnan(x) else int(self.under()[int(y * 16), int(x * 16)])
            )
            found.append(hit or NOTHING)
        return self._shown(answer, found, subjects, owner, points)

    def classify_pairs(self, sch, features, answer, owner):
        self.frame = features
        return self._scene(answer, answer.obj_ptr[owner], None)

    def _shown(self, answer, found, subjects, owner, points) -> Scene:
        rows = self.rows(np.array([*answer.obj_ptr, *found]))
        rows.mask_logits[: len(answer.obj_ptr)] = answer.mask_logits
        owners = [*answer.obj_ptr[owner], *np.repeat(answer.obj_ptr[subjects], 3)]
        return self._scene(rows, np.array(owners), points)

    def _scene(self, rows, owners, points) -> Scene:
        area, iou = mask_ious(rows.mask_logits > 0)
        said = [
            self.says(int(owner), int(thing), self.frame)
            if NOTHING not in (owner, thing)
            else (0, 0, 0, 0.0)
            for owner, thing in zip(owners, rows.obj_ptr, strict=True)
        ]
        subject, other, predicate, confidence = map(np.array, zip(*said, strict=True))
        best = BestTriplet(subject, other, predicate, confidence)
        return Scene(points, rows, area, iou, best)


class Drawn:
    """Rectangles that move over each other, with random relations.

    videos: {name: (segments, relations)}; `whole` the masks before one hides another.
    """

    def __init__(self, seed: int, lengths: Sequence[int] = (11, 9), things: int = 5):
        rng = np.random.default_rng(seed)
        self.categories = {i: 20 + i for i in range(1, things + 1)}
        self.videos, self.whole = {}, []
        for number, total in enumerate(lengths):
            segments = np.zeros((total, 16, 16), np.uint8)
            whole = {}
            for thing in self.categories:
                h, w = rng.integers(3, 8, 2)
                y, x = rng.integers(0, 16 - h), rng.integers(0, 16)
                gone = rng.integers(0, total, 2) if thing > 2 else ()
                for t in range(total):
                    left = (x + t) % (16 - w)
                    mask = rectangle(y, y + h, left, left + w)
                    whole[thing, t] = mask & (t not in gone)
                    segments[t][whole[thing, t]] = thing
            self.whole.append(whole)
            relations = []
            for _ in range(7):
                subject, other = rng.choice(things, 2, replace=False) + 1
                start, end = sorted(rng.integers(0, total, 2).tolist())
                named = int(rng.integers(4))
                relations.append((int(subject), int(other), named, start, end))
            self.videos[f"drawn-{number}"] = (segments, relations)

    def dataset(self, split: str = "toy_val") -> Dataset:
        return dataset(self.videos, self.categories, split)

    def segments(self) -> list[np.ndarray]:
        return [segments for segments, _ in self.videos.values()]

    def holds(self, subject: int, frame: tuple[int, int]) -> dict[int, list[int]]:
        """{object: predicates} of a subject on a frame, with both in view."""
        video, t = frame
        segments, relations = list(self.videos.values())[video]
        found: dict[int, list[int]] = {}
        for one, other, predicate, start, end in relations:
            seen = all((segments[t] == i).any() for i in (one, other))
            if one == subject and start <= t <= end and seen:
                found.setdefault(other, []).append(predicate)
        return found

    def perfect(self) -> Scripted:
        """Return a model that predicts the truth: three objects, one label each."""

        def masks(thing, frame):
            return self.segments()[frame[0]][frame[1]] == thing

        def finds(subject, frame):
            return ([*sorted(self.holds(subject, frame)), *[NOTHING] * 3])[:3]

        def says(subject, other, frame):
            named = self.holds(subject, frame).get(other, [0])
            return (*map(self.categories.get, (subject, other)), named[0], 0.5)

        return Scripted(self.segments(), masks, finds, says)

    def careless(self, seed: int) -> Scripted:
        """Return a model with unoccluded masks, random points and some wrong labels."""

        def chance(*key):
            return np.random.default_rng([seed, *(abs(int(k)) for k in key)])

        def masks(thing, frame):
            return self.whole[frame[0]].get((thing, frame[1]), np.zeros((16, 16), bool))

        def finds(subject, frame):
            true = sorted(self.holds(subject, frame)) or [NOTHING]
            rng = chance(1, subject, *frame)
            other = [int(rng.integers(1, 6)), NOTHING]
            return [int(rng.choice([*true, *true, *other])) for _ in range(3)]

        def says(subject, other, frame):
            rng = chance(2, subject, other, *frame)
            named = self.holds(subject, frame).get(other, [0])
            right = rng.random(3) < 0.85
            return (
                self.categories[subject] if right[0] else 3,
                self.categories[other] if right[1] else 4,
                named[0] if right[2] else 5,
                float(rng.integers(1, 9)) / 8,
            )

        return Scripted(self.segments(), masks, finds, says)
