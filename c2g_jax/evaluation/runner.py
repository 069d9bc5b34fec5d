"""Score a model on prepared videos: every subject, by every system, in every run."""

import copy
import dataclasses
import functools
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np

from c2g_jax.click2graph.model import Click2Graph
from c2g_jax.data.dataset import Dataset
from c2g_jax.data.prompts import KINDS
from c2g_jax.data.records import VideoRecord
from c2g_jax.evaluation import pvsg_official
from c2g_jax.evaluation.all_subjects import PredictedTriplet, score_all_ways
from c2g_jax.evaluation.automatic import score_automatic
from c2g_jax.evaluation.counting import ALL, ONE
from c2g_jax.evaluation.ground_truth import SubjectTruth, VideoTruth, video_truth
from c2g_jax.evaluation.heuristic import TRAIN, Heuristic, Oracle, heat_map
from c2g_jax.evaluation.metrics import FramePredictions, score_prompt
from c2g_jax.evaluation.plan import AUTO, HEURISTIC, ORACLE, SYSTEMS, Plan
from c2g_jax.evaluation.predictions import (
    overlap_of_frames,
    relations_of_frames,
    triplets_of_frames,
    with_one_predicate,
)
from c2g_jax.evaluation.protocol import BOTH, NONE, Protocol
from c2g_jax.evaluation.pvsg_official import PredictedRelation
from c2g_jax.evaluation.trials import (
    BATCH,
    PointSource,
    TrackingPass,
    Trial,
    follow_trials,
    trials_of,
)
from c2g_jax.evaluation.waves import (
    WaveProgress,
    default_memory,
    over_devices,
    waves_of,
)
from c2g_jax.types import AutoRules, InputError, TrackRules

TrialPredictions = dict[Trial, list[FramePredictions]]


class _Wave(NamedTuple):
    """A unit of work: a wave of a video's trials."""

    video: TrackingPass  # with all trials
    truth: VideoTruth
    trials: TrackingPass  # of the wave
    last: bool  # of its video
    advance: WaveProgress


def score_model(
    model: Click2Graph,
    dataset: Dataset,
    videos: Sequence[VideoRecord],
    protocol: Protocol,
    plan: Plan,
    advance: Callable[[int], object] = lambda frames: None,
    batch: int = BATCH,
    memory: int | None = None,
    devices: Sequence[jax.Device] | None = None,
    rules: AutoRules | None = None,
) -> Iterator[dict]:
    """Yield the scores of each video, as input of `results.summarise`.

    `plan` has the number of runs of each (system, kind of prompt). `advance` is called
    with the number of frames done. `memory` bounds the bytes that trials take on each
    of the `devices`, by default all of the host (see `waves`). `rules` are those of
    AUTO, if it is in the plan; all subjects of the other systems are then scored
    together too. Raises InputError for unknown systems and kinds of prompt.
    """
    unprompted = model
    point_sources = _point_sources(model, dataset, plan, protocol)
    model = scoring_model(model, protocol)
    devices = jax.local_devices() if devices is None else devices
    memory = default_memory(devices) if memory is None else memory

    # Where subjects are scored together, all predicates are needed.
    seen = protocol
    if AUTO in plan:
        seen = dataclasses.replace(protocol, multi_predicate=True)

    def units() -> Iterator[_Wave]:
        for video in videos:
            truth = video_truth(video, protocol)
            trials = trials_of(video, truth, plan, protocol)
            whole = TrackingPass(
                model, dataset, video, trials, point_sources, seen, batch
            )
            waves = waves_of(whole, memory)
            told = WaveProgress(advance, len(waves))
            for wave in waves:
                yield _Wave(whole, truth, wave, wave is waves[-1], told)

    found: TrialPredictions = {}
    for unit, predictions in over_devices(model, devices, units(), _follow_wave):
        found |= predictions
        if unit.last:
            # In the order of the plan, which decides ties.
            found = {trial: found[trial] for trial in unit.video.trials}
            video = unit.video.video
            scores = _scores(video, unit.truth, plan, found, protocol)
            if AUTO in plan:
                own = unprompted, dataset, video, protocol, rules or AutoRules()
                scores["systems"].update({AUTO[0]: {AUTO[1]: score_automatic(*own)}})
            yield scores
            found = {}


def _follow_wave(
    model: Click2Graph, unit: _Wave, check: Callable[[], None]
) -> TrialPredictions:
    def advance(frames: int) -> None:
        check()
        unit.advance(frames)

    return follow_video(dataclasses.replace(unit.trials, model=model), advance)


def scoring_model(model: Click2Graph, protocol: Protocol) -> Click2Graph:
    """Return the model with the protocol's tracking rules; weights are shared.

    Subjects are trials and independent: the objects that they find are never merged.
    """
    rules = dataclasses.replace(model.config.rules, max_tracks=protocol.max_tracks)
    if protocol.link == NONE:  # IoUs never reach 2
        rules = TrackRules(link_iou=2.0, max_tracks=0, twin_iou=None)
    rules = dataclasses.replace(
        rules, share_iou=None, subject_iou=protocol.subject_iou or None
    )
    changed = copy.copy(model)
    changed.config = dataclasses.replace(
        model.config, rules=rules, discover_every=protocol.discover_every
    )
    return changed


def follow_video(
    forward: TrackingPass, advance: Callable[[int], object] = lambda frames: None
) -> TrialPredictions:
    """Return each trial's predictions, from its prompt on or in both directions.

    `advance` is called after each frame, with the number of frames done; with 0 in the
    backward pass.
    """
    found = follow_trials(forward, advance)
    if forward.protocol.directions == BOTH:
        # Frames count once, but whoever follows may end it here as well.
        back = dataclasses.replace(forward, reverse=True)
        behind = follow_trials(back, lambda frames: advance(0))
        found = {t: _joined(found[t], behind[t], t.frame) for t in forward.trials}
    return found


def _joined(
    ahead: Sequence[FramePredictions], behind: Sequence[FramePredictions], prompt: int
) -> list[FramePredictions]:
    """Join the predictions of the forward and the backward pass of a trial.

    Both passes find the same objects on the prompted frame; these get their forward ids
    on earlier frames. Objects that only the backward pass finds get ids below 0.
    """
    here = [[p for p in way if p.frame == prompt] for way in (behind, ahead)]
    ids = {}
    for back, forth in zip(*here, strict=True):
        ids = dict(zip(back.ids.tolist(), forth.ids.tolist(), strict=False))
    return [
        *(
            p._replace(ids=np.array([ids.get(i, -1 - i) for i in p.ids.tolist()], int))
            for p in behind
            if p.frame != prompt
        ),
        *ahead,
    ]


def _point_sources(
    model: Click2Graph, dataset: Dataset, plan: Plan, protocol: Protocol
) -> dict[str, PointSource]:
    for system, kind in plan.keys() - {AUTO}:
        if system not in SYSTEMS:
            raise InputError(f"no system {system!r}: use some of {', '.join(SYSTEMS)}")
        if kind not in KINDS:
            raise InputError(f"no kind of prompt {kind!r}: use {', '.join(KINDS)}")
    found: dict[str, PointSource] = {}
    queries, systems = model.config.didm.num_queries, {system for system, _ in plan}
    if HEURISTIC in systems:
        heat = heat_map(dataset, TRAIN, protocol.heat_cells)
        found[HEURISTIC] = Heuristic(heat, queries)
    if ORACLE in systems:
        found[ORACLE] = Oracle(queries)
    return found


def _scores(
    video: VideoRecord,
    truth: VideoTruth,
    plan: Plan,
    predictions: TrialPredictions,
    protocol: Protocol,
) -> dict:
    systems: dict[str, dict[str, Any]] = {}
    for part, runs in plan.items():
        if part == AUTO:
            continue
        system, kind = part
        own = whole = {t: p for t, p in predictions.items() if t.part == part}
        if AUTO in plan and not protocol.multi_predicate:
            own = {t: [with_one_predicate(x) for x in p] for t, p in whole.items()}
        systems.setdefault(system, {})[kind] = {
            "subjects": _subjects(own, protocol),
            "official": _official(video, own, runs),
        }
        if AUTO in plan:
            ways = {run: _together(video, own, whole, run) for run in range(runs)}
            systems[system][kind]["ways"] = ways
    return {
        "video": video.video_id,
        "source": video.source,
        "truth": truth.counts,
        "missing": {},
        "systems": systems,
    }


def _subjects(
    predictions: TrialPredictions, protocol: Protocol
) -> dict[int, dict[int, Counter]]:
    """Return {subject: {run: counts}}."""
    found: dict[int, dict[int, Counter]] = {}
    for trial, own in predictions.items():
        counts = score_prompt(trial.truth, own, trial.frame, protocol)
        found.setdefault(trial.truth.subject_id, {})[trial.run] = counts
    return found


def _official(
    video: VideoRecord, predictions: TrialPredictions, runs: int
) -> dict[int, Counter]:
    """Return {run: counts of the PVSG metric} of the relations of all subjects."""
    truths, found = pvsg_official.true_relations(video), {}
    for run in range(runs):
        by_subject = _of_run(predictions, run)
        relations = _relations(by_subject, video.num_frames)
        overlap = overlap_of_frames(by_subject, video.num_frames)
        found[run] = pvsg_official.score_video(truths, relations, overlap)
    return found


_BySubject = dict[int, tuple[SubjectTruth, list[FramePredictions]]]


def _of_run(predictions: TrialPredictions, run: int) -> _BySubject:
    return {
        trial.truth.subject_id: (trial.truth, own)
        for trial, own in predictions.items()
        if trial.run == run
    }


def _relations(by_subject: _BySubject, num_frames: int) -> list[PredictedRelation]:
    return [
        relation
        for subject_id, (_, own) in by_subject.items()
        for relation in relations_of_frames(own, num_frames, subject_id)
    ]


def _together(
    video: VideoRecord, one: TrialPredictions, every: TrialPredictions, run: int
) -> dict[str, Counter]:
    """Score the prompted subjects of a run together.

    `one` are the predictions with one predicate a pair, `every` those with all.
    """
    whole, length = _of_run(every, run), video.num_frames
    triplets: dict[int, list[PredictedTriplet]] = {}
    for subject_id, (_, own) in whole.items():
        for t, here in triplets_of_frames(own, subject_id).items():
            triplets.setdefault(t, []).extend(here)
    return score_all_ways(
        pvsg_official.true_relations(video),
        {
            ONE: _relations(_of_run(one, run), length),
            ALL: _relations(whole, length),
        },
        triplets,
        [(subject_id, None) for subject_id in whole],
        functools.cache(overlap_of_frames(whole, length)),
    )
