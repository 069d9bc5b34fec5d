"""Trials: a subject prompted once by a system, tracked and scored by itself.

The trials of a pass are tracked in batches of one system each. Frames are the outer
loop: each is read and encoded once for all trials, which never affect each other.
"""

import itertools
import typing
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from c2g_jax.click2graph.model import Click2Graph
from c2g_jax.data.dataset import CHUNK, Dataset
from c2g_jax.data.prompts import (
    evaluation_points,
    interior_point,
    mask_box,
    noisy_box,
    stable_seed,
)
from c2g_jax.data.records import VideoRecord
from c2g_jax.evaluation.ground_truth import SubjectTruth, VideoTruth, prompt_frame
from c2g_jax.evaluation.metrics import FramePredictions
from c2g_jax.evaluation.plan import AUTO, Part, Plan
from c2g_jax.evaluation.protocol import ANYWHERE, NONE, Protocol
from c2g_jax.evaluation.scene_predictions import (
    ClassIds,
    SubjectRows,
    TrueFrame,
    predictions_of_scene,
)
from c2g_jax.media.images import resize_frame
from c2g_jax.sam2.model import FrameFeatures
from c2g_jax.sam2.track import encode_frame
from c2g_jax.tracking.loop import begin_frame, finish_frame
from c2g_jax.tracking.state import PendingFrame, TrackingState
from c2g_jax.types import Prompt

BATCH = 4  # trials; with 12 tracks each they fill 64 slots, with 7 tracks 32


@dataclass(frozen=True, eq=False)
class Trial:
    """One subject prompted once, by one system with one kind of prompt."""

    system: str
    kind: str  # of prompt
    run: int
    frame: int  # the prompted one
    truth: SubjectTruth  # of the whole video

    @property
    def part(self) -> Part:
        return self.system, self.kind


def trials_of(
    video: VideoRecord,
    truth: VideoTruth,
    plan: Plan,
    protocol: Protocol,
) -> list[Trial]:
    """Return all trials on a video: every run of every part, for every subject."""
    return [
        Trial(*part, run, prompt_frame(video, own, run, protocol), own)
        for part, count in plan.items()
        if part != AUTO
        for own in truth.subjects
        for run in range(count)
    ]


def draw_prompt(
    trial: Trial,
    object_id: int,
    video_id: str,
    segments: np.ndarray,
    image_size: int,
    protocol: Protocol,
) -> Prompt:
    """Draw the prompt of a trial from the subject's mask in `segments`, uint8 [H, W].

    It depends only on video, subject, run and kind of prompt, so that all systems get
    the same one. Boxes get noise in pixels of the model image, as in training.
    `object_id` is the id of the prompt's object.
    """
    subject = trial.truth.subject_id
    mask = segments == subject
    if trial.kind == "mask":
        return Prompt(trial.frame, object_id, mask=mask)
    if trial.kind == "point" and protocol.click == ANYWHERE:
        points = evaluation_points(mask, video_id, subject, trial.run + 1)
        return Prompt(trial.frame, object_id, points=points[-1:])
    seed = stable_seed(video_id, subject, trial.run, trial.kind)
    rng = np.random.default_rng(seed)
    if trial.kind == "point":
        return Prompt(trial.frame, object_id, points=interior_point(mask, rng)[None])
    height, width = mask.shape
    scale = image_size / np.array([width, height] * 2, np.float32)
    box = noisy_box(
        mask_box(mask) * scale,
        (image_size, image_size),
        rng,
        protocol.box_noise,
        protocol.box_bound,
    )
    return Prompt(trial.frame, object_id, box=box / scale)


class PointSource(typing.Protocol):
    """Gives object points in the place of DIDM."""

    def points(
        self, trial: Trial, video_id: str, frame: int, segments: np.ndarray
    ) -> np.ndarray:
        """Return float32 [q, 2], (x, y) in [0, 1] or NaN for no point.

        `segments` uint8 [H, W] are the true ids of the frame.
        """


@dataclass(frozen=True, eq=False)
class TrackingPass:
    """One pass over a video: from the first prompt on, or backward from the last."""

    model: Click2Graph  # that of `runner.scoring_model`
    dataset: Dataset
    video: VideoRecord
    trials: Sequence[Trial]
    point_sources: Mapping[str, PointSource]  # by system; others use DIDM
    protocol: Protocol
    batch: int = BATCH
    reverse: bool = False

    def place(self, frame: int) -> int:
        """Return the position of a frame in a pass over the whole video."""
        return self.video.num_frames - 1 - frame if self.reverse else frame

    def order(self) -> list[int]:
        """Return the frames of the pass, in order."""
        total = self.video.num_frames
        first = min((self.place(trial.frame) for trial in self.trials), default=total)
        return [self.place(place) for place in range(first, total)]


def follow_trials(
    shared: TrackingPass, advance: Callable[[int], object] = lambda frames: None
) -> dict[Trial, list[FramePredictions]]:
    """Return the predictions of each trial, in the order of the pass.

    `advance` is called with the number of frames done.
    """
    found: dict[Trial, list[FramePredictions]] = {trial: [] for trial in shared.trials}
    batches = [_Batch(shared, trials) for trials in batches_of(shared)]
    order = shared.order()
    advance(shared.video.num_frames - len(order))
    frames = _frames(shared, order)
    frame = next(frames, None)
    while frame is not None:
        truth, features = frame
        pending = deque(batch.begin(truth, features) for batch in batches)
        # The next frame is read, and its encoding queued, while the device works.
        frame = next(frames, None)
        for batch in batches:
            # Taken out, so that what the device holds for it is freed.
            for trial, predictions in batch.finish(truth, pending.popleft()):
                found[trial].append(predictions)
        advance(1)
    return found


def _frames(
    shared: TrackingPass, order: Sequence[int]
) -> Iterator[tuple[TrueFrame, FrameFeatures]]:
    """Yield each frame's truth and features; reads by chunk and queues the encoding."""
    model = shared.model
    for _, chunk in itertools.groupby(order, lambda t: t // CHUNK):
        chunk = list(chunk)
        pictures, segments = shared.dataset.read_frames(shared.video, chunk)
        for t, rgb, ids in zip(chunk, pictures, segments, strict=True):
            square = resize_frame(rgb, model.config.sam2.image_size)
            yield TrueFrame(t, ids), encode_frame(model.sam2, square)


def batches_of(shared: TrackingPass) -> list[list[Trial]]:
    """Group trials of one system by the time at which they begin."""
    found: list[list[Trial]] = []
    for system in dict.fromkeys(trial.system for trial in shared.trials):
        own = [trial for trial in shared.trials if trial.system == system]
        own.sort(key=lambda trial: shared.place(trial.frame))
        parts = range(0, len(own), shared.batch)
        found += [own[i : i + shared.batch] for i in parts]
    return found


class _Batch:
    """A few trials in one tracking state; their indices are the subjects' ids."""

    def __init__(self, shared: TrackingPass, trials: Sequence[Trial]):
        self.shared, self.trials = shared, trials
        self.point_source = shared.point_sources.get(trials[0].system)
        self.classes = ClassIds(shared.model.config, shared.dataset.vocabulary)
        self.state: TrackingState | None = None

    def begin(self, frame: TrueFrame, features: FrameFeatures) -> PendingFrame | None:
        """Queue a frame, with the prompts of the trials that begin on it.

        Returns None while no trial has begun.
        """
        shared, video = self.shared, self.shared.video
        prompts = [
            draw_prompt(
                trial,
                number,
                video.video_id,
                frame.segments,
                shared.model.config.sam2.image_size,
                shared.protocol,
            )
            for number, trial in enumerate(self.trials)
            if trial.frame == frame.number
        ]
        if self.state is None:
            if not prompts:
                return None
            self.state = TrackingState(
                video.height,
                video.width,
                video.num_frames,
                # The ids of discovered objects follow those of the trials.
                next_id=len(self.trials),
                frame=shared.place(frame.number),
                packed=True,
            )
        points = None
        if self.point_source is not None:
            begun = len(self.state.subjects) + len(prompts)
            points = np.stack(
                [
                    self.point_source.points(
                        trial, video.video_id, frame.number, frame.segments
                    )
                    for trial in self.trials[:begun]
                ]
            )
        pending = begin_frame(shared.model, self.state, features, prompts, points)
        self.state = pending.state  # the bank before this frame is freed
        return pending

    def finish(
        self, frame: TrueFrame, pending: PendingFrame | None
    ) -> Iterator[tuple[Trial, FramePredictions]]:
        """Yield the predictions of each trial whose subject is in view."""
        if pending is None:
            return
        shared = self.shared
        output = finish_frame(shared.model, pending)
        self.state, scene, row_of = output.after, output.scene, output.row_of
        for number, subject in enumerate(self.state.subjects):
            row, trial = row_of[subject.object_id], self.trials[number]
            if not scene.area[row] > 0:
                continue
            # Without tracks an object's id is its query.
            visible = [
                (row_of[i], query if shared.protocol.link == NONE else i)
                for query, i in enumerate(subject.linked)
                if i in row_of and scene.area[row_of[i]] > 0
            ]
            rows, ids = zip(*visible, strict=True) if visible else ((), ())
            points = np.zeros((0, 2), np.float32)
            if number in pending.due:
                points = scene.points[number]
            predictions = predictions_of_scene(
                scene,
                SubjectRows(row, rows, ids, points),
                trial.truth,
                frame,
                self.classes,
                shared.protocol,
                shared.model.sch,
            )
            yield trial, predictions
