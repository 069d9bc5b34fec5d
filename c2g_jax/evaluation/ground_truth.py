"""The scored ground truth of a video: its units, prompted frames, and recall ceilings.

A unit is an annotated (frame, subject, object, predicate) with both masks in view; the
annotated spans include their last frame. A ceiling is the share of units that a model
can reach with a limited number of objects a frame and one predicate for each.
"""

import dataclasses
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from c2g_jax.data.prompts import stable_seed
from c2g_jax.data.records import VideoRecord
from c2g_jax.evaluation.protocol import (
    BOTH,
    FIRST_INTERACTION,
    FIRST_VISIBLE,
    Protocol,
)


@dataclass(frozen=True, eq=False)
class SubjectTruth:
    """The relations of one subject of a video, on the scored frames."""

    subject_id: int
    category: int
    objects: np.ndarray  # int32 [g], ids of its objects; a column is an index in here
    categories: np.ndarray  # int32 [g], of the objects
    units: np.ndarray  # int32 [u, 3]: frame, column, predicate; ascending and unique

    @cached_property
    def frames(self) -> np.ndarray:
        """int32 [f]: the frames with a unit, ascending."""
        return np.unique(self.units[:, 0])

    @cached_property
    def pairs(self) -> np.ndarray:
        """int32 [p, 2]: (frame, column) with a unit, ascending."""
        return np.unique(self.units[:, :2], axis=0)


@dataclass(frozen=True, eq=False)
class VideoTruth:
    """The subjects to prompt in a video, by ascending id, and how the units were made.

    counts: "annotated" (frame, relation) pairs; those dropped, by reason; "units".
    """

    subjects: tuple[SubjectTruth, ...]
    counts: Counter


def video_truth(video: VideoRecord, protocol: Protocol) -> VideoTruth:
    """Return the ground truth of a video, of all frames whatever the prompted one."""
    counts, units = Counter(), []
    visible = video.visible_table
    for subject, other, predicate, start, end in video.relations.tolist():
        counts["annotated"] += max(0, end - start + 1)
        first, last = max(start, 0), min(end, video.num_frames - 1)
        times = np.arange(first, last + 1)
        counts["past the video"] += max(0, end - start + 1) - len(times)
        if subject == other:
            counts["self-relation"] += len(times)
            continue
        of_subject = visible[video.row(subject), first : last + 1]
        of_object = visible[video.row(other), first : last + 1]
        counts["no mask of both"] += int((~of_subject & ~of_object).sum())
        counts["no mask of the subject"] += int((~of_subject & of_object).sum())
        counts["no mask of the object"] += int((of_subject & ~of_object).sum())
        valid = times[of_subject & of_object]
        if protocol.things_only and not video.is_thing[video.row(subject)]:
            counts["subject is stuff"] += len(valid)
            continue
        units.extend((t, subject, other, predicate) for t in valid.tolist())
    table = np.array(units, np.int32).reshape(-1, 4)
    unique = np.unique(table, axis=0)
    counts["said twice"] += len(table) - len(unique)
    counts["units"] = len(unique)
    subjects = tuple(
        _subject_truth(video, subject, unique[unique[:, 1] == subject])
        for subject in np.unique(unique[:, 1]).tolist()
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
    """Return the frame on which a subject is prompted, where it is in view."""
    if protocol.prompt_frame == FIRST_INTERACTION:
        return int(truth.frames[0])
    if protocol.prompt_frame == FIRST_VISIBLE:
        return int(np.flatnonzero(video.visible_mask(truth.subject_id))[0])
    seed = stable_seed(video.video_id, truth.subject_id, run, "frame")
    return int(np.random.default_rng(seed).choice(truth.frames))


def scored_truth(truth: SubjectTruth, prompt: int, protocol: Protocol) -> SubjectTruth:
    """Return the truth on the frames that are scored for a prompt on frame `prompt`."""
    if protocol.directions == BOTH:
        return truth
    return dataclasses.replace(truth, units=truth.units[truth.units[:, 0] >= prompt])


def discovery_frames(
    frames: Sequence[int], prompt: int, protocol: Protocol
) -> np.ndarray:
    """Return bool [f]: whether DIDM runs on each frame."""
    distance = np.abs(np.asarray(frames, np.int64) - prompt)
    every = protocol.discover_every
    return distance % every == 0 if every else distance == 0


def video_ceiling(video: VideoRecord, protocol: Protocol) -> Counter:
    """Count what is scored for the prompts of run 0, and how much can be reached.

    Keys: "subjects", "subject frames", "crowded frames" (more objects than queries),
    "units", "pairs"; reachable at most: "R@K" of the units, "SpIR" of the pairs.
    """
    counts: Counter = Counter()
    for truth in video_truth(video, protocol).subjects:
        prompt = prompt_frame(video, truth, 0, protocol)
        part = scored_truth(truth, prompt, protocol)
        objects = np.unique(part.pairs[:, 0], return_counts=True)[1]
        units = np.unique(part.units[:, 0], return_counts=True)[1]
        reached = np.minimum(objects, protocol.queries)
        counts["subjects"] += 1
        counts["subject frames"] += len(objects)
        counts["crowded frames"] += int((objects > protocol.queries).sum())
        counts["units"] += int(units.sum())
        counts["pairs"] += int(objects.sum())
        counts["SpIR"] += int(reached.sum())
        predicted = units if protocol.multi_predicate else reached
        for k in protocol.ks:
            counts[f"R@{k}"] += int(np.minimum(predicted, k).sum())
    return counts


def truth_summary(scores: Sequence[Mapping], ks: Sequence[int]) -> dict[str, Any]:
    """Summarise what is scored, what was left out and why, and the recall ceilings.

    `scores` have the "truth" and "ceiling" of each video. Over all videos, and in
    "sources" for each source; ceilings in percent.
    """
    sources = dict.fromkeys(score["source"] for score in scores)
    return _summary(scores, ks) | {
        "sources": {
            source: _summary([s for s in scores if s["source"] == source], ks)
            for source in sources
        }
    }


def _summary(scores: Sequence[Mapping], ks: Sequence[int]) -> dict[str, Any]:
    truth, ceiling = Counter(), Counter()
    for score in scores:
        truth.update(score["truth"])
        ceiling.update(score["ceiling"])
    kept, annotated = truth.pop("units", 0), truth.pop("annotated", 0)
    totals = {f"R@{k}": ceiling["units"] for k in ks} | {"SpIR": ceiling["pairs"]}
    return {
        "videos": len(scores),
        "subjects": ceiling["subjects"],
        "subject frames": ceiling["subject frames"],
        "crowded frames": ceiling["crowded frames"],
        "pairs": ceiling["pairs"],
        "units": ceiling["units"],
        "annotated": annotated,
        "dropped": {
            **truth,
            "before the prompt": kept - ceiling["units"],
        },
        "ceilings": {
            name: 100 * ceiling[name] / total if total else None
            for name, total in totals.items()
        },
    }
