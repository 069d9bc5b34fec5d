"""The life of object tracks: linking, ageing, the cap, and ids shared by subjects.

Decisions on the host between two frames of a video; the masks stay on the device, of
which only overlaps and confidences are asked.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from c2g_jax.types import TrackRules


@dataclass(frozen=True)
class OpenTrack:
    """An object that is being followed because a subject was seen with it."""

    object_id: int
    subject_id: int
    last_met: int  # the last frame on which a query found it
    confidence: float  # of its triplet on that frame


@dataclass(frozen=True)
class Sightings:
    """What the q queries of one subject show on a frame, beside its k open tracks.

    present: bool [q], whether the query's own mask has a pixel. track_iou: float
    [q, k] and peer_iou: float [q, q], overlaps of the queries' masks with the masks of
    the open tracks and with one another. confidence: float [q] of the queries' own
    masks, track_confidence: float [k] of the tracks' masks.
    """

    present: np.ndarray
    track_iou: np.ndarray
    peer_iou: np.ndarray
    confidence: np.ndarray
    track_confidence: np.ndarray


@dataclass(frozen=True)
class Meeting:
    """What became of one subject's tracks on a frame."""

    tracks: tuple[OpenTrack, ...]  # open from here on, in order of their ids
    met: tuple[int | None, ...]  # for each query the id of its track, None: no mask
    opened: Mapping[int, int]  # id of a track that began here -> the query it began as
    closed: tuple[int, ...]  # ids of the tracks that ended here
    dropped: int  # how many of those ended by the cap


def meet(
    tracks: Sequence[OpenTrack],
    subject_id: int,
    frame: int,
    sightings: Sightings,
    next_id: int,
    rules: TrackRules,
) -> Meeting:
    """Link the queries of one subject to its open tracks, open and close tracks.

    `tracks` are the subject's open ones, in the order of the columns of `sightings`.
    A query goes to the track that its mask overlaps most, if by `link_iou` at least;
    queries before it may have opened that track on this very frame. New tracks are
    numbered from `next_id`. A track that is opened and dropped at once is in `opened`
    and in `closed`: its mask is this frame's answer nevertheless.
    """
    alive = {track.object_id: track for track in tracks}
    old_ids = tuple(alive)
    met, opened = [], {}
    for query, present in enumerate(sightings.present):
        if not present:
            met.append(None)
            continue
        ids = old_ids + tuple(opened)
        peers = sightings.peer_iou[query, list(opened.values())]
        overlaps = np.concatenate([sightings.track_iou[query], peers])
        best = int(np.argmax(overlaps)) if len(ids) else -1
        if best >= 0 and overlaps[best] >= rules.link_iou:
            object_id = ids[best]
        else:
            object_id = next_id + len(opened)
            opened[object_id] = query
        if object_id in opened:
            confidence = sightings.confidence[opened[object_id]]
        else:
            confidence = sightings.track_confidence[old_ids.index(object_id)]
        alive[object_id] = OpenTrack(object_id, subject_id, frame, float(confidence))
        met.append(object_id)

    closed = [t for t in alive.values() if frame - t.last_met >= rules.patience]
    for track in closed:
        del alive[track.object_id]
    dropped = max(0, len(alive) - rules.max_tracks)
    least = sorted(alive.values(), key=lambda t: (t.confidence, t.last_met))[:dropped]
    for track in least:
        del alive[track.object_id]
    closed_ids = tuple(t.object_id for t in closed + least)
    return Meeting(tuple(alive.values()), tuple(met), opened, closed_ids, dropped)


@dataclass(frozen=True)
class Rows:
    """What the r masks of a frame show, those of the tracks and of all queries."""

    area: np.ndarray  # [r], pixels
    iou: np.ndarray  # [r, r]
    confidence: np.ndarray  # [r], of the triplet with the subject of the row


@dataclass(frozen=True)
class FrameMeeting:
    """What became of all subjects' tracks on a frame."""

    tracks: tuple[OpenTrack, ...]  # open from here on
    met: Mapping[int, tuple[int | None, ...]]  # by subject: its queries' tracks
    opened: Mapping[int, int]  # id of a track that began here -> its row
    leaders: Mapping[int, int]  # id of each track, closed ones too -> its subject
    closed: frozenset[int]
    dropped: int


def meet_all(
    tracks: Sequence[OpenTrack],
    queries: Mapping[int, np.ndarray],
    frame: int,
    rows: Rows,
    row_of: Mapping[int, int],
    next_id: int,
    rules: TrackRules,
) -> FrameMeeting:
    """`meet` for every subject that was looked at: {its id: the rows of its queries}.

    `row_of` gives the row of each subject and open track. A subject that is out of
    view meets nothing.
    """
    tracks, met, opened = tuple(tracks), {}, {}
    leaders = {t.object_id: t.subject_id for t in tracks}
    closed, dropped = set(), 0
    for subject_id, own_rows in queries.items():
        own = [t for t in tracks if t.subject_id == subject_id]
        places = [row_of[t.object_id] for t in own]
        in_view = rows.area[row_of[subject_id]] > 0
        sightings = Sightings(
            present=(rows.area[own_rows] > 0) & in_view,
            track_iou=rows.iou[np.ix_(own_rows, places)],
            peer_iou=rows.iou[np.ix_(own_rows, own_rows)],
            confidence=rows.confidence[own_rows],
            track_confidence=rows.confidence[places],
        )
        meeting = meet(own, subject_id, frame, sightings, next_id, rules)
        met[subject_id] = meeting.met
        others = [t for t in tracks if t.subject_id != subject_id]
        tracks = (*others, *meeting.tracks)
        for object_id, query in meeting.opened.items():
            opened[object_id] = int(own_rows[query])
            leaders[object_id] = subject_id
        next_id += len(meeting.opened)
        closed |= set(meeting.closed)
        dropped += meeting.dropped
    return FrameMeeting(tracks, met, opened, leaders, frozenset(closed), dropped)


def rename_opened(
    meeting: FrameMeeting, known: Mapping[int, int | None], next_id: int
) -> FrameMeeting:
    """Return `meeting` with the tracks that it opened under their final ids.

    `known` maps some of their ids to ids used before, or to None: those tracks are
    dropped. All others are numbered from `next_id`.
    """
    names = dict(known)
    for i in meeting.opened:
        if i not in known:
            names[i], next_id = next_id, next_id + 1
    gone = {i for i, name in names.items() if name is None}

    def name(i: int | None) -> int | None:
        return names.get(i, i)

    return FrameMeeting(
        tuple(
            replace(t, object_id=name(t.object_id))
            for t in meeting.tracks
            if t.object_id not in gone
        ),
        {s: tuple(name(i) for i in met) for s, met in meeting.met.items()},
        {name(i): row for i, row in meeting.opened.items() if i not in gone},
        {name(i): s for i, s in meeting.leaders.items() if i not in gone},
        frozenset(name(i) for i in meeting.closed if i not in gone),
        meeting.dropped,
    )


def share_ids(
    ids: Sequence[int],
    subjects: Sequence[int | None],
    ious: np.ndarray,
    shared: Mapping[int, int],
    rules: TrackRules,
) -> dict[int, int]:
    """Which ids turn out on this frame to name one object: {old id: id from now on}.

    `ids` [k] are all subjects and open tracks, `subjects` [k] the subject that led to
    each (None for a subject itself), `ious` [k, k] the overlaps of their masks,
    `shared` what earlier frames gave. One of two things that overlap by `share_iou`
    takes the other's id: a subject's before an object's, a lower before a higher one.
    Two things never share an id if both belong to one subject, or are subjects: they
    are told apart on purpose.
    """
    if rules.share_iou is None:
        return {}
    names = {i: find_id(i, shared) for i in ids}
    families: dict[int, list[int]] = {}  # shared id -> the subjects with a thing in it
    for i, subject in zip(ids, subjects, strict=True):
        families.setdefault(names[i], []).append(i if subject is None else subject)
    prompted = {names[i] for i, s in zip(ids, subjects, strict=True) if s is None}
    rows, columns = np.nonzero(np.triu(ious >= rules.share_iou, k=1))
    merged: dict[int, int] = {}
    # The closest pair first, so that it wins where two pairs exclude each other.
    for pair in np.argsort(-ious[rows, columns], kind="stable"):
        a = find_id(names[ids[rows[pair]]], merged)
        b = find_id(names[ids[columns[pair]]], merged)
        if a == b or (a in prompted and b in prompted):
            continue
        if set(families[a]) & set(families[b]):
            continue
        kept, old = sorted((a, b), key=lambda i: (i not in prompted, i))
        merged[old] = kept
        families[kept] += families.pop(old)
    return {old: find_id(old, merged) for old in merged}


def find_id(object_id: int, shared: Mapping[int, int]) -> int:
    """The id that an object goes by after all merges in `shared`."""
    while object_id in shared:
        object_id = shared[object_id]
    return object_id
