"""A model scored on prepared videos: every subject prompted, by every system, each run.

Frames are the outer loop. Each is read and encoded once, and all trials that are under
way share it. They are followed side by side, a few in a batch, and never see each
other.
"""

import copy
import dataclasses
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from c2g_jax.click2graph.model import Click2Graph
from c2g_jax.data.dataset import Dataset
from c2g_jax.data.records import VideoRecord
from c2g_jax.evaluation import pvsg_official
from c2g_jax.evaluation.batches import Pass, follow_trials
from c2g_jax.evaluation.claims import guess_claims, guess_overlap
from c2g_jax.evaluation.heuristic import TRAIN, Finder, Heuristic, Oracle, heat_map
from c2g_jax.evaluation.metrics import FrameGuess, score_subject
from c2g_jax.evaluation.prompting import Part, Trial, runs_of_parts, trials_of
from c2g_jax.evaluation.protocol import (
    BOTH,
    NONE,
    Protocol,
    VideoTruth,
    scored,
    video_truth,
)
from c2g_jax.types import InputError, TrackRules

DIDM, HEURISTIC, ORACLE = SYSTEMS = "didm", "heuristic", "oracle"
BATCH = 4  # trials side by side; with 12 tracks each they fill 64 slots, with 7 32

Guesses = dict[Trial, list[FrameGuess]]


def score_model(
    model: Click2Graph,
    dataset: Dataset,
    videos: Sequence[VideoRecord],
    protocol: Protocol,
    systems: Sequence[str] = (DIDM,),
    prompts: Sequence[str] = ("point",),
    runs: Mapping[Part, int] | None = None,
    advance: Callable[[int], object] = lambda frames: None,
    heat: np.ndarray | None = None,
    batch: int = BATCH,
) -> Iterator[dict]:
    """The scores of each video, as `results` adds them up (see `files.score_files`).

    `runs` gives how often each (system, kind of prompt) is tried, and leaves out what
    it does not name; see `prompting.runs_of_parts`. `heat` is the heat map of the
    heuristic, for who has it already; it is made from the train split otherwise.
    `advance` is told of frames as they are done with. Raises InputError for systems
    and prompts that there are none of.
    """
    parts = runs_of_parts(systems, prompts, runs, protocol)
    finders = _finders(model, dataset, parts, protocol, heat)
    model = scoring_model(model, protocol)
    for video in videos:
        truth = video_truth(video, protocol)
        trials = trials_of(video, truth, parts, protocol)
        guesses = follow_video(
            model, dataset, video, trials, finders, protocol, advance, batch
        )
        yield _scores(video, truth, parts, guesses, protocol)


def scoring_model(model: Click2Graph, protocol: Protocol) -> Click2Graph:
    """The same model, following objects as the protocol says.

    Subjects are trials here, each of them by itself: what they find is never one
    object's.
    """
    rules = dataclasses.replace(
        model.config.rules, share_iou=None, max_tracks=protocol.max_tracks
    )
    if protocol.link == NONE:
        rules = TrackRules(link_iou=2.0, max_tracks=0, share_iou=None)  # no overlap
    changed = copy.copy(model)
    changed.config = dataclasses.replace(
        model.config, rules=rules, discover_every=protocol.discover_every
    )
    return changed


def follow_video(
    model: Click2Graph,
    dataset: Dataset,
    video: VideoRecord,
    trials: Sequence[Trial],
    finders: Mapping[str, Finder],
    protocol: Protocol,
    advance: Callable[[int], object] = lambda frames: None,
    batch: int = BATCH,
) -> Guesses:
    """What each trial says on the frames from its prompt to the end, or on all.

    `finders` take the place of DIDM in the systems that they are named for; `model` is
    one of `scoring_model`.
    """
    shared = (model, dataset, video, trials, finders, protocol, batch)
    found = follow_trials(Pass(*shared), advance)
    if protocol.directions == BOTH:
        behind = follow_trials(Pass(*shared, reverse=True))
        found = {t: _joined(found[t], behind[t], t.frame) for t in trials}
    return found


def _joined(
    ahead: Sequence[FrameGuess], behind: Sequence[FrameGuess], prompt: int
) -> list[FrameGuess]:
    """Both ways from a prompt as one course.

    On the prompt's frame both are the same: the objects met there keep their ids
    backward. Those met on the way have ids of their own, below 0.
    """
    here = [[g for g in way if g.frame == prompt] for way in (behind, ahead)]
    ids = {}
    for back, forth in zip(*here, strict=True):
        ids = dict(zip(back.ids.tolist(), forth.ids.tolist(), strict=False))
    return [
        *(
            g._replace(ids=np.array([ids.get(i, -1 - i) for i in g.ids.tolist()], int))
            for g in behind
            if g.frame != prompt
        ),
        *ahead,
    ]


def _finders(
    model: Click2Graph,
    dataset: Dataset,
    parts: Mapping[Part, int],
    protocol: Protocol,
    heat: np.ndarray | None,
) -> dict[str, Finder]:
    found: dict[str, Finder] = {}
    queries = model.config.didm.num_queries
    for system in {system for system, _ in parts}:
        if system not in SYSTEMS:
            raise InputError(f"no system {system!r}: use some of {', '.join(SYSTEMS)}")
        if system == HEURISTIC:
            if heat is None:
                heat = heat_map(dataset, TRAIN, protocol.heat_cells)
            found[system] = Heuristic(heat, queries)
        elif system == ORACLE:
            found[system] = Oracle(queries)
    return found


def _scores(
    video: VideoRecord,
    truth: VideoTruth,
    parts: Mapping[Part, int],
    guesses: Guesses,
    protocol: Protocol,
) -> dict:
    systems: dict[str, dict[str, Any]] = {}
    for system, kind in parts:
        own = {t: g for t, g in guesses.items() if t.part == (system, kind)}
        systems.setdefault(system, {})[kind] = {
            "subjects": _subjects(own, protocol),
            "official": _official(video, own, parts[system, kind]),
        }
    return {
        "video": video.video_id,
        "source": video.source,
        "truth": truth.counts,
        "missing": {},
        "systems": systems,
    }


def _subjects(guesses: Guesses, protocol: Protocol) -> dict[int, dict[int, Counter]]:
    found: dict[int, dict[int, Counter]] = {}
    for trial, own in guesses.items():
        part = scored(trial.truth, trial.frame, protocol)
        counts = score_subject(part, own, trial.frame, protocol)
        counts["prompts"] += 1
        counts["units left out"] += len(trial.truth.units) - len(part.units)
        found.setdefault(trial.truth.subject_id, {})[trial.run] = counts
    return found


def _official(video: VideoRecord, guesses: Guesses, runs: int) -> dict[int, Counter]:
    """PVSG's metric of each run: all subjects' guesses are the graph of the video."""
    records, found = pvsg_official.true_relations(video), {}
    for run in range(runs):
        own = {
            t.truth.subject_id: (t.truth, g) for t, g in guesses.items() if t.run == run
        }
        claims = [
            claim
            for subject_id, (_, said) in own.items()
            for claim in guess_claims(said, video.num_frames, subject_id)
        ]
        overlap = guess_overlap(own, video.num_frames)
        best = pvsg_official.ranked(claims)
        found[run] = pvsg_official.score_video(records, best, overlap)
    return found
