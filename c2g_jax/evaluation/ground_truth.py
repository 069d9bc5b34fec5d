"""What is scored of a video: its units, who is prompted when, and what is within reach.

A unit is a (frame, subject, object, predicate) that holds with both masks in view;
spans count both of their ends. The ceilings say how many of the units a model can find
that speaks of so many objects a frame and gives each one name.
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


def scored_truth(truth: SubjectTruth, prompt: int, protocol: Protocol) -> SubjectTruth:
    """The truth of the frames that count for a prompt on that frame."""
    if protocol.directions == BOTH:
        return truth
    return dataclasses.replace(truth, units=truth.units[truth.units[:, 0] >= prompt])


def discovery_frames(
    frames: Sequence[int], prompt: int, protocol: Protocol
) -> np.ndarray:
    """bool [f]: on which frames DIDM looks for objects."""
    away = np.abs(np.asarray(frames, np.int64) - prompt)
    every = protocol.discover_every
    return away % every == 0 if every else away == 0


def video_ceiling(video: VideoRecord, protocol: Protocol) -> Counter:
    """Counts that add up over videos, of what is scored for the prompts of run 0.

    Keys: "subjects", "subject frames" and "crowded frames" (more objects than
    queries), "units", "pairs", and within reach "R@K" of the units, "SpIR" of the
    pairs.
    """
    counts: Counter = Counter()
    for truth in video_truth(video, protocol).subjects:
        prompt = prompt_frame(video, truth, 0, protocol)
        part = scored_truth(truth, prompt, protocol)
        objects = np.unique(part.pairs[:, 0], return_counts=True)[1]
        units = np.unique(part.units[:, 0], return_counts=True)[1]
        seen = np.minimum(objects, protocol.queries)
        counts["subjects"] += 1
        counts["subject frames"] += len(objects)
        counts["crowded frames"] += int((objects > protocol.queries).sum())
        counts["units"] += int(units.sum())
        counts["pairs"] += int(objects.sum())
        counts["SpIR"] += int(seen.sum())
        named = units if protocol.multi_predicate else seen
        for k in protocol.ks:
            counts[f"R@{k}"] += int(np.minimum(named, k).sum())
    return counts


def truth_summary(scores: Sequence[Mapping], ks: Sequence[int]) -> dict[str, Any]:
    """What is scored, what was left out and why, and the shares within reach.

    `scores` with the "truth" and "ceiling" of each video; whole, and by source.
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
    within = {f"R@{k}": ceiling["units"] for k in ks} | {"SpIR": ceiling["pairs"]}
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
            for name, total in within.items()
        },
    }
