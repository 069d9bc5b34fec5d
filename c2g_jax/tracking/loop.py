"""From prompts on a video to what each frame shows, one frame at a time.

All state is a `TrackingState`, never changed in place: whoever keeps one can go
on from there again. The host waits for the device once a frame.
"""

import dataclasses
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

import jax
import numpy as np

from c2g_jax.click2graph.model import (
    Click2Graph,
    Scene,
    apply_prompts,
    follow,
    look,
    look_at,
    name,
    pick,
    remember,
)
from c2g_jax.sam2.memory import bucket
from c2g_jax.sam2.model import FrameFeatures
from c2g_jax.sam2.track import LONG, encode_frame
from c2g_jax.tracking.object_tracks import Rows, find_id, meet_all, share_ids
from c2g_jax.tracking.state import (
    NativeMasks,
    PendingFrame,
    TrackingState,
    begin_subjects,
    prompt_arrays,
    take_slots,
)
from c2g_jax.types import Frame, FrameResult, InputError, Prompt, SubjectFrame, Triplet


def track_video(
    model: Click2Graph,
    frames: Iterable[Frame],
    prompts: Sequence[Prompt],
    resize: Callable[[np.ndarray, int], np.ndarray],
    num_frames: int | None = None,
) -> Iterator[FrameResult]:
    """What each frame of a video shows, in order; an image is a video of one frame.

    `resize` takes uint8 [H, W, 3] to [S, S, 3]. `num_frames` is None for a stream.
    Subjects are absent before their first prompt; a prompt of the same object on a
    later frame corrects it. Raises InputError for prompts that do not fit.
    """
    waiting: dict[int, list[Prompt]] = {}
    for prompt in prompts:
        same = waiting.setdefault(prompt.frame, [])
        if prompt.object_id in [p.object_id for p in same]:
            raise InputError(f"{prompt} is given twice: join the two into one")
        same.append(prompt)
    first = min(waiting, default=None)
    next_id = max([p.object_id for p in prompts], default=-1) + 1

    def features_of(frame: Frame | None, index: int) -> FrameFeatures | None:
        if frame is None or first is None or index < first:
            return None
        size = model.config.sam2.image_size
        return encode_frame(model.sam2, resize(frame.rgb, size))

    stream = iter(frames)
    frame = next(stream, None)
    if frame is None:
        raise InputError("the video has no frames: give one that has")
    for prompt in prompts:
        prompt.check(frame.width, frame.height, num_frames)
    state = start(frame.height, frame.width, num_frames, next_id)
    features = features_of(frame, 0)
    while frame is not None:
        here = waiting.pop(state.frame, ())
        pending = begin_frame(model, state, features, here)
        # The next frame is read, and its encoding queued, while the device works.
        frame = next(stream, None)
        features = features_of(frame, state.frame + 1)
        state, result = finish_frame(model, pending)
        yield result
    for late in waiting.values():
        raise InputError(
            f"{late[0]}: the video ends after {state.frame} frames: prompt an earlier "
            "one"
        )


def start(
    height: int, width: int, num_frames: int | None = None, next_id: int = 0
) -> TrackingState:
    """The state before the first frame; objects that DIDM finds count from next_id."""
    return TrackingState(height, width, num_frames, next_id)


def step(
    model: Click2Graph,
    state: TrackingState,
    features: FrameFeatures | None,
    prompts: Sequence[Prompt] = (),
) -> tuple[TrackingState, FrameResult]:
    """One frame, from its features and what is prompted on it."""
    return finish_frame(model, begin_frame(model, state, features, prompts))


def begin_frame(
    model: Click2Graph,
    state: TrackingState,
    features: FrameFeatures | None,
    prompts: Sequence[Prompt],
    points: np.ndarray | None = None,
) -> PendingFrame:
    """Queue a frame's work on the device; `features` None if nothing is prompted yet.

    A prompt of an object in a slot corrects it; any other begins a subject.
    `points` float32 [s, q, 2], (x, y) in [0, 1] for each subject, takes DIDM's place.
    """
    if not state.subjects and not prompts:
        return PendingFrame(state)
    config, frame = model.config, np.int32(state.frame)
    prompted = frozenset(p.object_id for p in prompts)
    followed = set(state.slot_of()) - prompted
    begun = [p.object_id for p in prompts if p.object_id not in state.slots]
    if begun:
        state = begin_subjects(config, state, begun)
    slot_of, bank, answer = state.slot_of(), state.bank, None
    if followed:
        active = np.array([i in followed for i in state.slots])
        num_frames = np.int32(state.num_frames or LONG)
        bank, answer = follow(model.sam2, bank, features, frame, active, num_frames)
        state = dataclasses.replace(state, bank=bank)
    if prompts:
        given = prompt_arrays(state, prompts, config.sam2.image_size)
        answer = apply_prompts(model.sam2, features, answer, *given)

    owner = np.arange(len(state.slots), dtype=np.int32)
    for track in state.tracks:
        owner[slot_of[track.object_id]] = slot_of[track.subject_id]
    every = config.discover_every
    due = tuple(
        i
        for i, s in enumerate(state.subjects)
        if s.object_id in prompted or (every and (state.frame - s.since) % every == 0)
    )
    if due:
        subjects = np.zeros(bucket(len(state.subjects)), np.int32)
        subjects[: len(state.subjects)] = [slot_of[s.object_id] for s in state.subjects]
        where = (features, answer, subjects, owner)
        if points is None:
            scene = look((model.sam2, model.didm, model.sch), *where)
        else:
            spare = ((0, len(subjects) - len(points)), (0, 0), (0, 0))
            scene = look_at((model.sam2, model.sch), *where, np.pad(points, spare))
    else:
        scene = name(model.sch, features, answer, owner)
    return PendingFrame(state, features, scene, prompted, frozenset(begun), due)


def finish_frame(
    model: Click2Graph, pending: PendingFrame
) -> tuple[TrackingState, FrameResult]:
    """Wait for a frame, decide what lives on, and queue its memories."""
    after, result, _ = finish_rows(model, pending)
    return after, result


def finish_rows(
    model: Click2Graph, pending: PendingFrame
) -> tuple[TrackingState, FrameResult, dict[int, int]]:
    """As `finish_frame`, and in which row of the scene each object was found."""
    state, rules = pending.state, model.config.rules
    if pending.scene is None:
        after = dataclasses.replace(state, frame=state.frame + 1)
        return after, FrameResult(state.frame, {}, (), {}), {}
    scene = jax.device_get(pending.scene)  # the one wait of a frame
    n, q = len(state.slots), model.config.didm.num_queries
    row_of = state.slot_of()
    queries = {
        state.subjects[i].object_id: np.arange(n + i * q, n + (i + 1) * q)
        for i in pending.due
    }
    meeting = meet_all(
        state.tracks,
        queries,
        state.frame,
        Rows(scene.area, scene.iou, scene.triplets.confidence),
        row_of,
        state.next_id,
        rules,
    )
    row_of |= meeting.opened
    leader_of, tracks = meeting.leaders, meeting.tracks
    subjects = [
        dataclasses.replace(s, met=meeting.met.get(s.object_id, s.met))
        for s in state.subjects
    ]
    ids = [s.object_id for s in subjects] + [t.object_id for t in tracks]
    leaders = [leader_of.get(i) for i in ids]
    rows = [row_of[i] for i in ids]
    ious = scene.iou[np.ix_(rows, rows)]
    merged = share_ids(ids, leaders, ious, state.shared, rules)
    after = dataclasses.replace(
        state,
        frame=state.frame + 1,
        next_id=state.next_id + len(meeting.opened),
        subjects=tuple(subjects),
        tracks=tracks,
        shared={**state.shared, **merged},
    )
    result = _result(
        model, after, pending, scene, row_of, leader_of, merged, meeting.dropped
    )
    begun = pending.begun | (meeting.opened.keys() - meeting.closed)
    after = _remember(model, after, pending, row_of, begun, meeting.closed)
    return after, result, row_of


def _remember(
    model: Click2Graph,
    after: TrackingState,
    pending: PendingFrame,
    row_of: Mapping[int, int],
    begun: frozenset[int],
    closed: frozenset[int],
) -> TrackingState:
    """Free the slots of closed tracks, and write what begins or was prompted."""
    kept = tuple(None if i in closed else i for i in after.slots)
    write = (begun | pending.prompted) - closed
    prompted = {i: count for i, count in after.prompted.items() if i not in closed}
    prompted |= {i: prompted.get(i, 0) + 1 for i in write}
    after = dataclasses.replace(after, slots=kept, prompted=prompted)
    if not write:
        return after
    after = take_slots(model.config, after, sorted(begun - set(kept)), room=1)
    source = np.array([row_of[i] if i in write else 0 for i in after.slots], np.int32)
    bank = remember(
        model.sam2,
        after.bank,
        pending.features,
        pick(pending.scene.rows, source),
        np.int32(pending.state.frame),
        np.array([i in write for i in after.slots]),
        np.array([i in begun for i in after.slots]),
    )
    return dataclasses.replace(after, bank=bank)


def _result(
    model: Click2Graph,
    after: TrackingState,
    pending: PendingFrame,
    scene: Scene,
    row_of: Mapping[int, int],
    leader_of: Mapping[int, int],
    merged: Mapping[int, int],
    dropped: int,
) -> FrameResult:
    """The frame in the words of the vocabulary, ids as they are shared by now."""
    frame, vocabulary = pending.state.frame, model.config.vocabulary
    logits, prompted_by = {}, {}
    prompted = [subject.object_id for subject in after.subjects]
    # Subjects first: of things that share an id, the one prompted is shown.
    for object_id in (*prompted, *sorted(leader_of)):
        row, shown = row_of[object_id], find_id(object_id, after.shared)
        if scene.area[row] > 0 and shown not in logits:
            logits[shown] = scene.rows.mask_logits[row]
            # The track whose id it has may be closed by now.
            leader = leader_of.get(shown, leader_of.get(object_id))
            prompted_by[shown] = None if shown in prompted else leader

    def triplet(object_id: int) -> Triplet:
        row, best = row_of[object_id], scene.triplets
        return Triplet(
            find_id(object_id, after.shared),
            vocabulary.objects[best.subject[row]],
            vocabulary.objects[best.object[row]],
            vocabulary.predicates[best.predicate[row]],
            float(best.confidence[row]),
        )

    def in_view(object_id: int | None) -> bool:
        return object_id in row_of and scene.area[row_of[object_id]] > 0

    subjects = []
    for i, subject in enumerate(after.subjects):
        points, met = np.zeros((0, 2), np.float32), ()
        if in_view(subject.object_id):
            met = tuple(triplet(m) for m in subject.met if in_view(m))
            if i in pending.due:
                points = scene.points[i] * np.float32([after.width, after.height])
        subjects.append(SubjectFrame(frame, subject.object_id, points, met))
    masks = NativeMasks(logits, after.height, after.width)
    return FrameResult(frame, masks, tuple(subjects), prompted_by, merged, dropped)
