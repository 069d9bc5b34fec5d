"""The frames of a session that a data set cannot be made of yet.

Where an object was not followed it has no mask: a model that is trained on such a frame
learns that the object is not there.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from c2g_jax.session.session_state import SessionState
from c2g_jax.session.state_parts import TrackedObject
from c2g_jax.tracking.spans import frames_of, merge_spans


@dataclass(frozen=True)
class Unfinished:
    """untracked: frames on which an object is neither followed nor told. stale: tracked
    frames that would change if they were tracked again."""

    untracked: tuple[int, ...] = ()
    stale: tuple[int, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.untracked or self.stale)

    def __str__(self) -> str:
        """Say so in words, as "frames 31 to 39 are not tracked"."""
        kinds = ("not tracked", self.untracked), ("stale", self.stale)
        return ", ".join(f"{_frames(own)} {word}" for word, own in kinds if own)


def unfinished(
    state: SessionState, object_ids: Sequence[int], num_frames: int
) -> Unfinished:
    """Return what is left to track before these objects, by the ids shown, are known.

    Asked for are the frames after a prompt of an object, before one too if there was
    tracking backward, and those of its drawn relations and of its presence by hand.
    Known without tracking are objects that a person told by masks on several frames,
    as of annotations that were imported.
    """
    groups = {i: state.shown[i] for i in object_ids}
    by_masks = {i: _masked(g) for i, g in groups.items() if not _elsewhere(g)}
    told = {i for i, frames in by_masks.items() if frames}
    if len({t for frames in by_masks.values() for t in frames}) < 2:
        told = set()  # one frame says nothing of the others
    left = [t for t in range(num_frames) if t not in state.records]
    untracked = {
        t
        for i, group in groups.items()
        # A file said where it is if it is on frames that were not tracked here.
        if i not in told and _elsewhere(group) <= state.records.keys()
        for t in _open(state, i, left)
    }
    stale = [t for t in sorted(state.records) if state.is_stale(t)]
    return Unfinished(tuple(sorted(untracked)), tuple(stale))


def _open(state: SessionState, shown_id: int, frames: Iterable[int]) -> Iterator[int]:
    """Yield those of the frames of which nothing says if an object is in view there."""
    group = state.shown[shown_id]
    backward = any(record.direction < 0 for record in state.records.values())
    drawn = [own for pair, own in state.drawn_of.items() if shown_id in pair]
    related = {t for own in drawn for spans in own.values() for t in frames_of(spans)}
    for t in frames:
        known = any(t in obj.observations for obj in group)
        if known or not any(obj.present(t) for obj in group):
            continue
        reached = any(
            obj.begun(t, 1) or (backward and obj.begun(t, -1)) or obj.presence
            for obj in group
        )
        if reached or t in related:
            yield t


def _masked(group: Sequence[TrackedObject]) -> set[int]:
    """Return the frames on which a mask is a prompt of an object."""
    return {
        t
        for obj in group
        for t, prompts in obj.prompts.items()
        if any(item.kind == "mask" for item in prompts.items)
    }


def _elsewhere(group: Sequence[TrackedObject]) -> set[int]:
    """Return the frames on which an object is known without a prompt there."""
    return {t for obj in group for t in obj.observations if t not in obj.prompts}


def _frames(frames: Sequence[int]) -> str:
    """Return frames in words, as "frames 3 and 7 to 9 are"."""
    spans = [
        f"{a} to {b}" if b > a + 1 else " and ".join(map(str, sorted({a, b})))
        for a, b in merge_spans(frames)
    ]
    one = len(frames) == 1
    return f"{'frame' if one else 'frames'} {', '.join(spans)} {'is' if one else 'are'}"
