"""Object tracks: link queries to them, open and close them, merge ids of subjects.

These are decisions on the host between two frames. They need the masks' overlaps and
confidences alone; the masks stay on the device.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from c2g_jax.types import TrackRules


@dataclass(frozen=True)
class OpenTrack:
    """An object that is followed because a subject's query found it."""

    object_id: int
    subject_id: int
    last_linked: int  # the last time that a query linked to it, see TrackingState.clock
    confidence: float  # of its triplet on that frame
    confirmed: bool = True  # whether a query linked to it after it was opened


@dataclass(frozen=True)
class Rows:
    """Statistics of the r masks of a frame: those of all slots and of all queries."""

    area: np.ndarray  # [r], pixels
    iou: np.ndarray  # [r, r]
    confidence: np.ndarray  # [r], of the triplet with the row's subject


@dataclass(frozen=True)
class SubjectLinks:
    """The outcome of a frame for the tracks of one subject."""

    tracks: tuple[OpenTrack, ...]  # open after this frame, in order of their ids
    linked: tuple[int | None, ...]  # the track that each query linked to, None: no mask
    opened: Mapping[int, int]  # id of a new track -> the row of its query
    closed: tuple[int, ...]  # ids of the tracks that ended here
    dropped: int  # how many of those ended by the cap


def link_queries(
    tracks: Sequence[OpenTrack],
    subject_id: int,
    queries: Sequence[int],
    frame: int,
    rows: Rows,
    row_of: Mapping[int, int],
    next_id: int,
    rules: TrackRules,
) -> SubjectLinks:
    """Link the queries of one subject to its open tracks, open and close tracks.

    `tracks` are the subject's open ones, `queries` the rows of its queries, `row_of`
    the row of each subject and open track. The queries of a subject out of view link
    to nothing, nor do those that lie on the subject itself. A query links to the track
    with the highest IoU, if that is `link_iou` or more (an earlier query may have
    opened that track on this frame), or to nothing if that track lies on the subject
    here. With a lower IoU it opens a track. New tracks are numbered from `next_id`. A
    track without a query closes after `patience` frames, or after `tentative` frames if
    no query has linked to it since it was opened. Of tracks that have become one
    (`twin_iou`) the oldest stays, and has their queries. A track that is opened and
    closed by the cap at once is both in `opened` and in `closed`: its mask still counts
    on this frame.
    """
    alive = {track.object_id: track for track in tracks}
    candidates = {object_id: row_of[object_id] for object_id in alive}
    subject_row = row_of[subject_id]
    in_view = rows.area[subject_row] > 0
    linked, opened = [], {}
    for row in queries:
        is_subject = lies_on(rows.iou, row, subject_row, rules.subject_iou)
        if not in_view or rows.area[row] <= 0 or is_subject:
            linked.append(None)
            continue
        ious = rows.iou[row, list(candidates.values())]
        best = int(np.argmax(ious)) if candidates else -1
        if best >= 0 and ious[best] >= rules.link_iou:
            object_id = list(candidates)[best]
            if lies_on(rows.iou, candidates[object_id], subject_row, rules.subject_iou):
                linked.append(None)
                continue
        else:
            object_id = next_id + len(opened)
            opened[object_id] = candidates[object_id] = int(row)
        confidence = float(rows.confidence[candidates[object_id]])
        alive[object_id] = OpenTrack(
            object_id, subject_id, frame, confidence, object_id not in opened
        )
        linked.append(object_id)

    twins = _twins(candidates, rows.iou, rules.twin_iou)
    linked = [None if i is None else twins.get(i, i) for i in linked]
    for twin, kept in twins.items():
        both = alive[twin], alive[kept]
        alive[kept] = replace(
            alive[kept],
            last_linked=max(track.last_linked for track in both),
            confirmed=any(track.confirmed for track in both),
        )
    ended = [alive.pop(twin) for twin in twins]
    closed = [
        t
        for t in alive.values()
        if frame - t.last_linked >= (rules.patience if t.confirmed else rules.tentative)
    ]
    for track in closed:
        del alive[track.object_id]
    dropped = max(0, len(alive) - rules.max_tracks)
    least = sorted(alive.values(), key=lambda t: (t.confidence, t.last_linked))[
        :dropped
    ]
    for track in least:
        del alive[track.object_id]
    closed_ids = tuple(t.object_id for t in ended + closed + least)
    return SubjectLinks(
        tuple(alive.values()), tuple(linked), opened, closed_ids, dropped
    )


def _twins(
    row_of: Mapping[int, int], ious: np.ndarray, limit: float | None
) -> dict[int, int]:
    """Return the tracks that lie on an older one, {id: id of the oldest}.

    `row_of` has the row of each track in `ious` [r, r].
    """
    twins: dict[int, int] = {}
    kept: list[int] = []
    for i in sorted(row_of):
        same = (o for o in kept if lies_on(ious, row_of[i], row_of[o], limit))
        if (oldest := next(same, None)) is None:
            kept.append(i)
        else:
            twins[i] = oldest
    return twins


def lies_on(ious: np.ndarray, row: int, other: int, limit: float | None) -> bool:
    """Return whether the IoU of two masks reaches a limit; None: no IoU does."""
    return limit is not None and bool(ious[row, other] >= limit)


@dataclass(frozen=True)
class FrameLinks:
    """The outcome of a frame for the tracks of all subjects."""

    tracks: tuple[OpenTrack, ...]  # open after this frame
    linked: Mapping[int, tuple[int | None, ...]]  # by subject: its queries' tracks
    opened: Mapping[int, int]  # id of a new track -> its row
    subject_of: Mapping[int, int]  # id of each track, closed ones too -> its subject
    closed: frozenset[int]
    dropped: int


def link_all(
    tracks: Sequence[OpenTrack],
    queries: Mapping[int, np.ndarray],
    frame: int,
    rows: Rows,
    row_of: Mapping[int, int],
    next_id: int,
    rules: TrackRules,
) -> FrameLinks:
    """Do `link_queries` for all subjects in `queries`: {id: rows of its queries}."""
    tracks, linked, opened = tuple(tracks), {}, {}
    subject_of = {t.object_id: t.subject_id for t in tracks}
    closed, dropped = set(), 0
    for subject_id, own_rows in queries.items():
        own = [t for t in tracks if t.subject_id == subject_id]
        links = link_queries(
            own, subject_id, own_rows, frame, rows, row_of, next_id, rules
        )
        linked[subject_id] = links.linked
        others = [t for t in tracks if t.subject_id != subject_id]
        tracks = (*others, *links.tracks)
        opened |= links.opened
        subject_of |= dict.fromkeys(links.opened, subject_id)
        next_id += len(links.opened)
        closed |= set(links.closed)
        dropped += links.dropped
    return FrameLinks(tracks, linked, opened, subject_of, frozenset(closed), dropped)


def rename_opened(
    links: FrameLinks, known: Mapping[int, int | None], next_id: int
) -> FrameLinks:
    """Return `links` with the tracks that it opened under their final ids.

    `known` maps some of their ids to ids used before, or to None: those tracks are
    dropped. All others are numbered from `next_id`.
    """
    names = dict(known)
    for i in links.opened:
        if i not in known:
            names[i], next_id = next_id, next_id + 1
    gone = {i for i, name in names.items() if name is None}

    def name(i: int | None) -> int | None:
        return names.get(i, i)

    return FrameLinks(
        tuple(
            replace(t, object_id=name(t.object_id))
            for t in links.tracks
            if t.object_id not in gone
        ),
        {s: tuple(name(i) for i in linked) for s, linked in links.linked.items()},
        {name(i): row for i, row in links.opened.items() if i not in gone},
        {name(i): s for i, s in links.subject_of.items() if i not in gone},
        frozenset(name(i) for i in links.closed if i not in gone),
        links.dropped,
    )


def share_ids(
    ids: Sequence[int],
    subjects: Sequence[int | None],
    ious: np.ndarray,
    shared: Mapping[int, int],
    rules: TrackRules,
) -> dict[int, int]:
    """Return the ids merged on this frame, {old id: id kept}.

    `ids` [k] are all prompted objects and open tracks, `subjects` [k] the subject of
    each track (None for a prompted object), `ious` [k, k] the IoUs of their masks,
    `shared` the merges of earlier frames. Of two masks with an IoU of `share_iou` or
    more, one object takes the other's id: a prompted object's id is kept rather than a
    track's, a lower one rather than a higher one. Two prompted objects are never
    merged, they are distinct by construction, nor are two tracks of one subject: of
    those the younger ends (`link_queries`).
    """
    if rules.share_iou is None:
        return {}
    names = {i: find_id(i, shared) for i in ids}
    families: dict[int, list[int]] = {}  # merged id -> the subjects of its members
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
    """Return the id of an object after all merges in `shared`."""
    while object_id in shared:
        object_id = shared[object_id]
    return object_id
