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
from c2g_jax.data.prompts import KINDS
from c2g_jax.data.records import VideoRecord
from c2g_jax.evaluation import pvsg_official
from c2g_jax.evaluation.ground_truth import VideoTruth, video_truth
from c2g_jax.evaluation.heuristic import TRAIN, Heuristic, Oracle, heat_map
from c2g_jax.evaluation.metrics import FramePredictions, score_prompt
from c2g_jax.evaluation.plan import DIDM, HEURISTIC, ORACLE, SYSTEMS, Plan
from c2g_jax.evaluation.predictions import overlap_of_frames, relations_of_frames
from c2g_jax.evaluation.protocol import BOTH, NONE, Protocol
from c2g_jax.evaluation.trials import (
    PointSource,
    TrackingPass,
    Trial,
    follow_trials,
    trials_of,
)
from c2g_jax.types import InputError, TrackRules

BATCH = 4  # trials side by side; with 12 tracks each they fill 64 slots, with 7 32

TrialPredictions = dict[Trial, list[FramePredictions]]


def score_model(
    model: Click2Graph,
    dataset: Dataset,
    videos: Sequence[VideoRecord],
    protocol: Protocol,
    plan: Plan | None = None,
    advance: Callable[[int], object] = lambda frames: None,
    heat: np.ndarray | None = None,
    batch: int = BATCH,
) -> Iterator[dict]:
    """The scores of each video, as `results` adds them up (see `files.score_files`).

    `plan` gives how often each (system, kind of prompt) is tried; without one DIDM is,
    with points. `heat` is the heat map of the heuristic, for who has it already; it is
    made from the train split otherwise. `advance` is told of frames as they are done
    with. Raises InputError for systems and prompts that there are none of.
    """
    plan = {(DIDM, "point"): protocol.runs} if plan is None else plan
    point_sources = _point_sources(model, dataset, plan, protocol, heat)
    model = scoring_model(model, protocol)
    for video in videos:
        truth = video_truth(video, protocol)
        trials = trials_of(video, truth, plan, protocol)
        guesses = follow_video(
            model, dataset, video, trials, point_sources, protocol, advance, batch
        )
        yield _scores(video, truth, plan, guesses, protocol)


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
    point_sources: Mapping[str, PointSource],
    protocol: Protocol,
    advance: Callable[[int], object] = lambda frames: None,
    batch: int = BATCH,
) -> TrialPredictions:
    """What each trial says on the frames from its prompt to the end, or on all.

    `point_sources` take the place of DIDM in the systems that they are named for;
    `model` is one of `scoring_model`.
    """
    shared = (model, dataset, video, trials, point_sources, protocol, batch)
    found = follow_trials(TrackingPass(*shared), advance)
    if protocol.directions == BOTH:
        behind = follow_trials(TrackingPass(*shared, reverse=True))
        found = {t: _joined(found[t], behind[t], t.frame) for t in trials}
    return found


def _joined(
    ahead: Sequence[FramePredictions], behind: Sequence[FramePredictions], prompt: int
) -> list[FramePredictions]:
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


def _point_sources(
    model: Click2Graph,
    dataset: Dataset,
    plan: Plan,
    protocol: Protocol,
    heat: np.ndarray | None,
) -> dict[str, PointSource]:
    for system, kind in plan:
        if system not in SYSTEMS:
            raise InputError(f"no system {system!r}: use some of {', '.join(SYSTEMS)}")
        if kind not in KINDS:
            raise InputError(f"no kind of prompt {kind!r}: use {', '.join(KINDS)}")
    found: dict[str, PointSource] = {}
    queries, systems = model.config.didm.num_queries, {system for system, _ in plan}
    if HEURISTIC in systems:
        if heat is None:
            heat = heat_map(dataset, TRAIN, protocol.heat_cells)
        found[HEURISTIC] = Heuristic(heat, queries)
    if ORACLE in systems:
        found[ORACLE] = Oracle(queries)
    return found


def _scores(
    video: VideoRecord,
    truth: VideoTruth,
    plan: Plan,
    guesses: TrialPredictions,
    protocol: Protocol,
) -> dict:
    systems: dict[str, dict[str, Any]] = {}
    for (system, kind), runs in plan.items():
        own = {t: g for t, g in guesses.items() if t.part == (system, kind)}
        systems.setdefault(system, {})[kind] = {
            "subjects": _subjects(own, protocol),
            "official": _official(video, own, runs),
        }
    return {
        "video": video.video_id,
        "source": video.source,
        "truth": truth.counts,
        "missing": {},
        "systems": systems,
    }


def _subjects(
    guesses: TrialPredictions, protocol: Protocol
) -> dict[int, dict[int, Counter]]:
    found: dict[int, dict[int, Counter]] = {}
    for trial, own in guesses.items():
        counts = score_prompt(trial.truth, own, trial.frame, protocol)
        found.setdefault(trial.truth.subject_id, {})[trial.run] = counts
    return found


def _official(
    video: VideoRecord, guesses: TrialPredictions, runs: int
) -> dict[int, Counter]:
    """PVSG's metric of each run: all subjects' guesses are the graph of the video."""
    records, found = pvsg_official.true_relations(video), {}
    for run in range(runs):
        own = {
            t.truth.subject_id: (t.truth, g) for t, g in guesses.items() if t.run == run
        }
        claims = [
            claim
            for subject_id, (_, said) in own.items()
            for claim in relations_of_frames(said, video.num_frames, subject_id)
        ]
        overlap = overlap_of_frames(own, video.num_frames)
        found[run] = pvsg_official.score_video(records, claims, overlap)
    return found
