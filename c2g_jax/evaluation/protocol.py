"""What is scored, and how: every choice that the paper leaves open, with its default.

The paper (arXiv 2511.15948, section 5) names R@K, SpIR and PLR in a sentence each. The
ground truth here is one unit for each (frame, subject, object, predicate) that holds
with both masks in view; spans count both of their ends.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from c2g_jax.data.prompts import stable_seed
from c2g_jax.data.records import VideoRecord
from c2g_jax.types import InputError, TrackRules

FIRST_INTERACTION, FIRST_VISIBLE, RANDOM = (
    "first_interaction",
    "first_visible",
    "random",
)
ANYWHERE, INTERIOR = "anywhere", "interior"
FORWARD, BOTH = "forward", "both"
TRACKS, NONE = "tracks", "none"
PRODUCT, TIMES_OBJECT, TIMES_IOU = "product", "times_object", "times_iou"
PER_FRAME, TUBE_VOTE = "frame", "tube_vote"

CHOICES = {
    "prompt_frame": (FIRST_INTERACTION, FIRST_VISIBLE, RANDOM),
    "click": (ANYWHERE, INTERIOR),
    "directions": (FORWARD, BOTH),
    "link": (TRACKS, NONE),
    "confidence": (PRODUCT, TIMES_OBJECT, TIMES_IOU),
    "subject_label": (PER_FRAME, TUBE_VOTE),
}


@dataclass(frozen=True)
class Protocol:
    """How to score; each field is a flag of `c2g_jax.evaluate` of the same name."""

    split: str = "val"  # of the data set, as train or val, or one that is stored
    runs: int = 25  # prompts a subject; a mask prompt has no chance in it: 1
    # Who is prompted: every subject of a unit; or things alone.
    things_only: bool = False
    # When: a subject's first frame with a unit; its first in view; any with a unit.
    prompt_frame: str = FIRST_INTERACTION
    # Where a point is: on any pixel of the subject, none twice over the runs; or
    # likelier the deeper inside, as in training.
    click: str = ANYWHERE
    # Frames before the prompt are left out, and counted; "both" tracks back to them.
    directions: str = FORWARD
    # DIDM looks on every k-th frame from the prompt on; 0: on the prompt's alone.
    discover_every: int = 1
    # "tracks": objects are followed with memory, as in the product, and the mask of the
    # track is scored. "none": the mask under the point is scored, frame by frame.
    link: str = TRACKS
    # Objects that are followed for one subject at most; each is work on each frame.
    max_tracks: int = TrackRules.max_tracks
    # What ranks: the product p_s * p_o * p_r; times the probability that the object is
    # in view; or times SAM's own estimate of the mask's IoU.
    confidence: str = PRODUCT
    queries: int = 3  # masks a frame that count: the paper's N_q
    ks: tuple[int, ...] = (3,)  # the K of R@K
    # Every query speaks all predicates, and they compete for the K places.
    multi_predicate: bool = False
    # A unit is hit once, and a prediction hits one unit at most.
    one_to_one: bool = True
    # A mask that overlaps a surer one so far is left out; 0: never.
    mask_nms: float = 0.0
    # Whose name the subject goes by: each frame's, or the vote of all frames.
    subject_label: str = PER_FRAME
    box_noise: float = 0.1  # share of its side that a prompt's box may be off by
    box_bound: float = 20.0  # pixels of the model image that it may be off by, at most
    tau: float = 0.5  # least IoU of a hit, inclusive
    tube_share: float = 0.5  # share of its frames on which a tube is hit, inclusive
    heat_cells: int = 64  # side of the grid of the heuristic

    def __post_init__(self):
        for name, choices in CHOICES.items():
            if getattr(self, name) not in choices:
                raise InputError(
                    f"--{name}={getattr(self, name)}: use one of {', '.join(choices)}"
                )
        least = dict(runs=1, queries=1, heat_cells=1, max_tracks=1, discover_every=0)
        for name, low in least.items():
            if getattr(self, name) < low:
                raise InputError(f"--{name}={getattr(self, name)}: give {low} or more")
        if not self.ks or min(self.ks) < 1:
            raise InputError(f"--ks={','.join(map(str, self.ks))}: give numbers from 1")
        for name in ("tau", "tube_share"):
            if not 0 < getattr(self, name) <= 1:
                raise InputError(f"--{name}={getattr(self, name)}: give 0 < x <= 1")
        for name in ("mask_nms", "box_noise"):
            if not 0 <= getattr(self, name) <= 1:
                raise InputError(f"--{name}={getattr(self, name)}: give 0 <= x <= 1")
        if self.box_bound < 0:
            raise InputError(f"--box_bound={self.box_bound}: give 0 or more")


@dataclass(frozen=True, eq=False)
class SubjectTruth:
    """What one subject of a video does on the frames that are scored."""

    subject_id: int
    category: int
    objects: np.ndarray  # int32 [g], ids of all it relates to; the columns of tables
    categories: np.ndarray  # int32 [g]
    units: np.ndarray  # int32 [u, 3]: frame, column, predicate; ascending, no two alike

    @cached_property
    def frames(self) -> np.ndarray:
        """int32 [f]: the frames with a unit, ascending."""
        return np.unique(self.units[:, 0])

    @cached_property
    def pairs(self) -> np.ndarray:
        """int32 [p, 2]: (frame, column) with a unit, ascending."""
        return np.unique(self.units[:, :2], axis=0)

    def between(self, first: int, last: int) -> "SubjectTruth":
        """The same with the units of the frames first to last, both included."""
        inside = (self.units[:, 0] >= first) & (self.units[:, 0] <= last)
        return SubjectTruth(
            self.subject_id,
            self.category,
            self.objects,
            self.categories,
            self.units[inside],
        )


@dataclass(frozen=True, eq=False)
class VideoTruth:
    """The subjects to prompt in a video, ascending, and what was left out, by reason.

    counts: "annotated" (frame, record) pairs, those dropped, and "units", what stays.
    """

    subjects: tuple[SubjectTruth, ...]
    counts: Counter


def video_truth(video: VideoRecord, protocol: Protocol) -> VideoTruth:
    """The ground truth of a video; the frame of the prompt is not considered here."""
    counts, units = Counter(), []
    seen = video.visible_table
    for subject, other, predicate, start, end in video.relations.tolist():
        counts["annotated"] += max(0, end - start + 1)
        first, last = max(start, 0), min(end, video.num_frames - 1)
        times = np.arange(first, last + 1)
        counts["past the video"] += max(0, end - start + 1) - len(times)
        if subject == other:
            counts["self-relation"] += len(times)
            continue
        of_subject = seen[video.row(subject), first : last + 1]
        of_object = seen[video.row(other), first : last + 1]
        counts["no mask of both"] += int((~of_subject & ~of_object).sum())
        counts["no mask of the subject"] += int((~of_subject & of_object).sum())
        counts["no mask of the object"] += int((of_subject & ~of_object).sum())
        valid = times[of_subject & of_object]
        if protocol.things_only and not video.is_thing[video.row(subject)]:
            counts["subject is stuff"] += len(valid)
            continue
        units.extend((t, subject, other, predicate) for t in valid.tolist())
    table = np.array(units, np.int32).reshape(-1, 4)
    whole = np.unique(table, axis=0)
    counts["said twice"] += len(table) - len(whole)
    counts["units"] = len(whole)
    subjects = tuple(
        _subject_truth(video, subject, whole[whole[:, 1] == subject])
        for subject in np.unique(whole[:, 1]).tolist()
    )
    return VideoTruth(subjects, counts)


def _subject_truth(video: VideoRecord, subject: int, rows: np.ndarray) -> SubjectTruth:
    objects, columns = np.unique(rows[:, 2], return_inverse=True)
    units = np.stack([rows[:, 0], columns.reshape(-1), rows[:, 3]], axis=1)
    return SubjectTruth(
        subject,
        video.category(subject),
        objects.astype(np.int32),
        np.array([video.category(i) for i in objects], np.int32),
        np.unique(units.astype(np.int32), axis=0),
    )


def prompt_frame(
    video: VideoRecord, truth: SubjectTruth, run: int, protocol: Protocol
) -> int:
    """The frame on which a subject is prompted; it is in view there."""
    if protocol.prompt_frame == FIRST_INTERACTION:
        return int(truth.frames[0])
    if protocol.prompt_frame == FIRST_VISIBLE:
        return int(np.flatnonzero(video.visible_mask(truth.subject_id))[0])
    seed = stable_seed(video.video_id, truth.subject_id, run, "frame")
    return int(np.random.default_rng(seed).choice(truth.frames))


def scored(truth: SubjectTruth, prompt: int, protocol: Protocol) -> SubjectTruth:
    """The truth of the frames that count for a prompt on that frame."""
    if protocol.directions == BOTH or not len(truth.units):
        return truth
    return truth.between(prompt, int(truth.units[-1, 0]))


def looked(frames: Sequence[int], prompt: int, protocol: Protocol) -> np.ndarray:
    """bool [f]: on which frames DIDM looks for objects."""
    away = np.abs(np.asarray(frames, np.int64) - prompt)
    every = protocol.discover_every
    return away % every == 0 if every else away == 0
