"""Who is whom when frames are tracked anew: what an earlier pass found keeps its name.

What a person named, related or pointed at has the first claim on what is found where
it was, so that no word of theirs is lost to something that tracking met by itself.
"""

import dataclasses
from collections.abc import Callable, Collection, Iterator, Mapping

from c2g_jax.media.rle import mask_iou
from c2g_jax.session.state import OBJECT, Observation, SessionState, Thing
from c2g_jax.tracking.object_tracks import OpenTrack
from c2g_jax.types import TrackRules

Mask = Mapping | None  # COCO RLE, None where nothing is seen


def recognise(
    state: SessionState,
    frame: int,
    leaders: Mapping[int, int],
    found: Mapping[int, Observation],
    taken: Collection[int],
    rules: TrackRules,
) -> tuple[dict[int, int], SessionState]:
    """Names for what was opened: an old one where an earlier pass found the same.

    So what a person said of an object holds when its frames are tracked anew, and
    what was removed does not come back. `taken` names are in use, `leaders` the
    subjects of what was found. Of the names that fit, those of things that a person
    spoke of are given first, then those that fit best, then the older ones.
    """
    fits = [
        (thing.object_id not in state.spoken, -overlap, thing.object_id, new_id)
        for new_id, observation in found.items()
        for thing in _known(state, frame, leaders[new_id], taken)
        if (overlap := _overlap(thing, frame, observation.mask)) >= rules.link_iou
    ]
    names: dict[int, int] = {}
    for _, _, name, new_id in sorted(fits):
        if new_id not in names and name not in names.values():
            names[new_id] = name
    next_id = state.next_id
    for new_id in found:
        if new_id not in names:
            names[new_id], next_id = next_id, next_id + 1
            state = state.with_thing(Thing(names[new_id], OBJECT, leaders[new_id]))
    return names, dataclasses.replace(state, next_id=next_id)


def giving_way(
    state: SessionState,
    frame: int,
    subject_id: int,
    tracks: Collection[OpenTrack],
    sights: Iterator[tuple[Collection[int], Callable[[], Mask]]],
    taken: Collection[int],
    rules: TrackRules,
) -> set[int]:
    """Which of a subject's tracks end where a thing that a person spoke of was found.

    A track may come here from frames that were tracked the other way, and meet what is
    found in the place of such a thing, which would then be seen no more. The track
    goes on if a person spoke of it as well and it was here before. `sights` are
    the subject's queries: what each meets, and what gives its mask.
    """
    waiting = [
        thing
        for thing in _known(state, frame, subject_id, taken)
        if thing.object_id in state.spoken
    ]
    weak = {
        t.object_id
        for t in tracks
        if t.object_id not in state.spoken
        or frame not in state.things[t.object_id].observations
    }
    gone: set[int] = set()
    if not waiting or not weak:
        return gone
    for met, mask_of in sights:
        if not met or not weak.issuperset(met) or gone.issuperset(met):
            continue
        mask = mask_of()
        if any(_overlap(t, frame, mask) >= rules.link_iou for t in waiting):
            gone |= set(met)
    return gone


def _known(
    state: SessionState, frame: int, leader: int, taken: Collection[int]
) -> Iterator[Thing]:
    """What an earlier pass saw of a subject's things on a frame, but for `taken`."""
    for thing in state.things.values():
        free = thing.leader == leader and thing.object_id not in taken
        if free and frame in thing.observations:
            yield thing


def _overlap(thing: Thing, frame: int, mask: Mask) -> float:
    known = thing.observations[frame].mask
    return 0.0 if known is None or mask is None else mask_iou(known, mask)
