"""The steps of a frame, and a whole video tracked by them.

`begin_frame` queues a frame's work on the device, `decide` waits for it and links,
opens, closes and merges tracks, `write_memories` queues the memories of new objects.
All state is an immutable `TrackingState`, so tracking can be continued again from any
state that is kept. The host waits for the device once per frame.
"""

import dataclasses
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

import jax
import numpy as np

from c2g_jax.click2graph.model import (
    Click2Graph,
    apply_prompts,
    classify_pairs,
    discover_objects,
    follow,
    gather_rows,
    put_rows,
    remember,
    segment_at_points,
    spread_rows,
)
from c2g_jax.sam2.memory import MemoryBank, bucket
from c2g_jax.sam2.model import FrameFeatures
from c2g_jax.sam2.track import LONG, ObjectOutput, Segmentation, encode_frame
from c2g_jax.tracking.frame_result import frame_result
from c2g_jax.tracking.inputs import prompt_arrays, with_given
from c2g_jax.tracking.object_tracks import (
    Rows,
    link_all,
    rename_opened,
    share_ids,
)
from c2g_jax.tracking.state import (
    FrameOutput,
    KnownObjects,
    PendingFrame,
    TrackingState,
    begin_subjects,
    take_slots,
)
from c2g_jax.types import Frame, FrameResult, InputError, Prompt


def track_video(
    model: Click2Graph,
    frames: Iterable[Frame],
    prompts: Sequence[Prompt],
    resize: Callable[[np.ndarray, int], np.ndarray],
    num_frames: int | None = None,
    next_id: int = 0,
    every_predicate: bool = False,
) -> Iterator[FrameResult]:
    """Yield the result of each frame, in order; an image is a video of one frame.

    `resize(rgb, S)` resizes uint8 [H, W, 3] to [S, S, 3]. `num_frames` is None for a
    stream. Found objects are numbered from `next_id`, or after the prompted ones. With
    `every_predicate` a pair has a triplet for each predicate, not the best alone.
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
    next_id = max([next_id, *(p.object_id + 1 for p in prompts)])

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
    state = TrackingState(frame.height, frame.width, num_frames, next_id)
    features = features_of(frame, 0)
    while frame is not None:
        here = waiting.pop(state.frame, ())
        pending = begin_frame(model, state, features, here)
        # Read the next frame and queue its encoding while the device works.
        frame = next(stream, None)
        features = features_of(frame, state.frame + 1)
        output = finish_frame(model, pending)
        state = output.after
        yield frame_result(model, output, every_predicate)
    for late in waiting.values():
        raise InputError(
            f"{late[0]}: the video ends after {state.frame} frames: prompt an earlier "
            "one"
        )


def begin_frame(
    model: Click2Graph,
    state: TrackingState,
    features: FrameFeatures | None,
    prompts: Sequence[Prompt] = (),
    points: np.ndarray | None = None,
    given: Mapping[int, ObjectOutput] | None = None,
) -> PendingFrame:
    """Queue a frame's work on the device.

    `features` are None while nothing is prompted. A prompt of an object in a slot
    corrects it; any other begins a subject. `points` float32 [s, q, 2], (x, y) in
    [0, 1] for each subject, replace DIDM's; an untrained DIDM is not run. `given` are
    outputs computed earlier, by the id of an object in a slot: they replace the
    model's, and the bank must hold their memories of this frame already.
    """
    if not state.slot_of() and not prompts:
        return PendingFrame(state)
    config, given = model.config, given or {}
    prompted = frozenset(p.object_id for p in prompts)
    followed = set(state.slot_of()) - prompted - given.keys()
    begun = [p.object_id for p in prompts if p.object_id not in state.slots]
    if begun:
        state = begin_subjects(config, state, begun)
    slot_of, answer = state.slot_of(), None
    if followed:
        active = np.array([i in followed for i in state.slots])
        bank, answer = _follow(model, state, features, active)
        state = dataclasses.replace(state, bank=bank)
    if prompts:
        arrays = prompt_arrays(state, prompts, config.sam2.image_size)
        answer = _prompt(model, state, features, answer, arrays)
    if given:
        answer = with_given(config.sam2, state, answer, given)

    owner = np.arange(len(state.slots), dtype=np.int32)
    for track in state.tracks:
        if track.subject_id in slot_of:
            owner[slot_of[track.object_id]] = slot_of[track.subject_id]
    every = config.discover_every
    discovers = config.trained or points is not None
    due = tuple(
        i
        for i, s in enumerate(state.subjects if discovers else ())
        if s.object_id in prompted
        or s.object_id in given
        or (every and (state.frame - s.since) % every == 0)
    )
    if due:
        subjects = np.zeros(bucket(len(state.subjects)), np.int32)
        subjects[: len(state.subjects)] = [slot_of[s.object_id] for s in state.subjects]
        where = (features, answer, subjects, owner)
        if points is None:
            scene = discover_objects((model.sam2, model.didm, model.sch), *where)
        else:
            spare = ((0, len(subjects) - len(points)), (0, 0), (0, 0))
            scene = segment_at_points(
                (model.sam2, model.sch), *where, np.pad(points, spare)
            )
    else:
        scene = classify_pairs(model.sch, features, answer, owner)
    return PendingFrame(
        state, features, scene, prompted, frozenset(begun), frozenset(given), due
    )


def finish_frame(
    model: Click2Graph, pending: PendingFrame, known: KnownObjects | None = None
) -> FrameOutput:
    """Wait for a frame, decide about its tracks, and queue its memories.

    `known` are the objects found when the frame was tracked before, if it was.
    """
    output = decide(model, pending, known)
    return dataclasses.replace(output, after=write_memories(model, output))


def decide(
    model: Click2Graph, pending: PendingFrame, known: KnownObjects | None = None
) -> FrameOutput:
    """Wait for a frame; link queries to tracks, open, close and merge tracks.

    `known` are the objects found when the frame was tracked before, if it was.
    """
    state, rules = pending.state, model.config.rules
    if pending.scene is None:
        return FrameOutput(pending, state.advanced())
    scene = jax.device_get(pending.scene)  # the only wait per frame
    row_of = state.slot_of()
    queries = pending.queries(model.config.didm.num_queries)
    displaced = frozenset()
    if known is not None:
        displaced = frozenset(known.displaced(pending, scene, queries))
    links = link_all(
        [t for t in state.tracks if t.object_id not in displaced],
        queries,
        state.clock,
        Rows(scene.area, scene.iou, scene.triplets.confidence),
        row_of,
        state.next_id,
        rules,
    )
    if known is not None:
        names = known.recognise(pending, scene, links.opened, links.subject_of)
        links = rename_opened(links, names, state.next_id)
    row_of |= links.opened
    open_ids = {t.object_id for t in links.tracks}
    pinned = [t for t in state.tracks if t.object_id in state.pinned]
    # The cap may have closed pinned tracks: they stay.
    kept = [t for t in pinned if t.object_id not in open_ids]
    tracks = (*links.tracks, *kept)
    subjects = [
        dataclasses.replace(s, linked=links.linked.get(s.object_id, s.linked))
        for s in state.subjects
    ]
    prompted = [x.object_id for x in (*subjects, *pinned)]
    found = [t for t in tracks if t.object_id not in state.pinned]
    ids = [*prompted, *(t.object_id for t in found)]
    subject_ids = [*[None] * len(prompted), *(t.subject_id for t in found)]
    rows = [row_of[i] for i in ids]
    merged = share_ids(
        ids, subject_ids, scene.iou[np.ix_(rows, rows)], state.shared, rules
    )
    after = dataclasses.replace(
        state.advanced(),
        next_id=max([state.next_id, *(i + 1 for i in links.opened)]),
        subjects=tuple(subjects),
        tracks=tracks,
        shared={**state.shared, **merged},
    )
    return FrameOutput(
        pending,
        after,
        scene,
        row_of,
        links.subject_of,
        links.opened,
        displaced,
        links.closed - state.pinned | displaced,
        merged,
        links.dropped,
    )


def write_memories(model: Click2Graph, output: FrameOutput) -> TrackingState:
    """Free the slots of closed tracks; write the memories of new and prompted objects.

    Objects in their slots already, and not prompted here, were written by `follow`.
    """
    pending, after, closed = output.pending, output.after, output.closed
    if pending.scene is None:
        return after
    begun = pending.begun | (output.opened.keys() - closed)
    kept = tuple(None if i in closed else i for i in after.slots)
    write = (begun | pending.prompted) - closed
    prompted = {i: count for i, count in after.prompted.items() if i not in closed}
    prompted |= {i: prompted.get(i, 0) + 1 for i in write}
    after = dataclasses.replace(after, slots=kept, prompted=prompted)
    if not write:
        return after
    after = take_slots(model.config, after, sorted(begun - set(kept)), room=1)
    row_of = output.row_of
    source = np.array([row_of[i] if i in write else 0 for i in after.slots], np.int32)
    where = np.array([i in write for i in after.slots])
    fresh = np.array([i in begun for i in after.slots])
    now, bank = np.int32(pending.state.frame), after.bank

    def write_rows(bank: MemoryBank, rows: np.ndarray | slice) -> MemoryBank:
        entries = gather_rows(pending.scene.rows, source[rows])
        marks = (where[rows], fresh[rows])
        return remember(model.sam2, bank, pending.features, entries, now, *marks)

    if not after.packed:
        return dataclasses.replace(after, bank=write_rows(bank, slice(None)))
    for rows in power_parts(where):
        bank = put_rows(bank, write_rows(gather_rows(bank, rows), rows), rows)
    return dataclasses.replace(after, bank=bank)


def power_parts(where: np.ndarray) -> Iterator[np.ndarray]:
    """Yield the indices of the true values of bool [n], in parts of powers of two.

    There are as few parts as possible, the largest first: few shapes are compiled, and
    none has a row too many.
    """
    rows = np.flatnonzero(where).astype(np.int32)
    while len(rows):
        size = 1 << (len(rows).bit_length() - 1)
        yield rows[:size]
        rows = rows[size:]


def _follow(
    model: Click2Graph,
    state: TrackingState,
    features: FrameFeatures,
    active: np.ndarray,
) -> tuple[MemoryBank, Segmentation]:
    """Track the slots in `active`, bool [n], to the frame."""
    bank, answer = state.bank, None
    when = np.int32(state.num_frames or LONG), np.int32(state.direction)

    def step(bank: MemoryBank, active: np.ndarray) -> tuple[MemoryBank, Segmentation]:
        now = np.int32(state.frame)
        return follow(model.sam2, bank, features, now, active, *when)

    if not state.packed:
        return step(bank, active)
    for rows in power_parts(active):
        part, found = step(gather_rows(bank, rows), np.ones(len(rows), bool))
        bank = put_rows(bank, part, rows)
        answer = _with_rows(answer, found, rows, len(active))
    return bank, answer


def _prompt(
    model: Click2Graph,
    state: TrackingState,
    features: FrameFeatures,
    answer: Segmentation | None,
    arrays: tuple,
) -> Segmentation:
    """Return `answer` with the prompted slots segmented; `arrays`: `prompt_arrays`."""
    if not state.packed:
        return apply_prompts(model.sam2, features, answer, *arrays)
    prompted = arrays[-2] | arrays[-1]
    for rows in power_parts(prompted):
        part = jax.tree.map(lambda x, rows=rows: x[rows], arrays)
        found = apply_prompts(model.sam2, features, None, *part)
        answer = _with_rows(answer, found, rows, len(prompted))
    return answer


def _with_rows(
    answer: Segmentation | None, found: Segmentation, rows: np.ndarray, count: int
) -> Segmentation:
    """Return `answer`, or `count` empty rows if None, with the rows that were found."""
    found = found.without_candidates()
    if answer is None:
        return spread_rows(found, rows, count)
    return put_rows(answer, found, rows)
