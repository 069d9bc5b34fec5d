"""Spans by hand: where a relation holds, and where an object is present.

A lane is a relation (subject, object, predicate), or the id of an object.
"""

import dataclasses
from collections.abc import Callable, Iterable, Sequence

from c2g_jax.session.arguments import choose_span
from c2g_jax.session.edits import check_name
from c2g_jax.session.naming import Naming
from c2g_jax.session.session_state import SessionState
from c2g_jax.session.state_parts import DrawnRelation, Triple
from c2g_jax.tracking.spans import Spans, check_spans, merge_spans
from c2g_jax.types import InputError, whole
from c2g_jax.vocabulary import PREDICATE
from c2g_jax.vocabulary import check_name as name_of

Lane = int | Triple


class Lanes(Naming):
    """The methods that draw relations, and change the spans of lanes.

    Spans are inclusive (first, last) frames, ascending and disjoint. Changing the spans
    of a relation that the model guessed makes it drawn, and so accepted. An object is
    shown where a person says that it is present and it has a mask.
    """

    def relate(
        self,
        subject_id: int,
        object_id: int,
        predicate: str,
        spans: Sequence[tuple[int, int]] | None = None,
        new: bool = False,
    ) -> None:
        """Draw a relation between any two objects; it holds in these spans exactly.

        By default where both are in view, or on all frames if they never are at once;
        what is not tracked yet may be in view anywhere.
        Two objects may have several relations. `new`: add the predicate to the
        vocabulary if it lacks it.
        """
        if new:
            predicate = name_of(predicate)  # as the vocabulary writes it
        triple = self._triple((subject_id, object_id, predicate))
        if spans is not None:
            spans = check_spans(spans, self.video.num_frames, title_of(triple), True)

        def change(state: SessionState) -> SessionState:
            if new:
                state = self._with_name(state, triple[2], PREDICATE)
            check_name(triple[2], self._names(state).predicates, "predicate")
            own = spans
            if own is None:
                clip = range(self.video.num_frames)
                seen = [set(_in_view(state, i, clip)) for i in triple[:2]]
                own = merge_spans(seen[0] & seen[1])
            own = own or ((0, self.video.num_frames - 1),)
            return with_relation(state, triple, own)

        self._act(title_of(triple), change)

    def set_spans(self, lane: Lane, spans: Sequence[tuple[int, int]] | None) -> None:
        """Replace the spans of a lane; None: as the model has it.

        Without any span, a relation is deleted, and an object is nowhere present.
        """
        lane = self._lane(lane)
        if spans is not None:
            spans = self._checked(spans, title_of(lane))
        if spans and not isinstance(lane, int):
            check_name(lane[2], self.vocabulary.predicates, "predicate")
        self._act(f"spans of {title_of(lane)}", lambda s: with_spans(s, lane, spans))

    def add_span(
        self, lane: Lane, start: int | None = None, stop: int | None = None
    ) -> None:
        """Add a span to a lane; what it overlaps or touches becomes one with it."""
        first, last = choose_span(start, stop, self.video.num_frames)

        def add(spans: Spans) -> Spans:
            apart = [s for s in spans if s[1] < first - 1 or s[0] > last + 1]
            ends = [t for s in spans if s not in apart for t in s]
            return (*apart, (min([first, *ends]), max([last, *ends])))

        self._change(lane, "a span", add)

    def move_span(
        self, lane: Lane, index: int, start: int | None = None, stop: int | None = None
    ) -> None:
        """Set the ends of a lane's span, by its index; None leaves an end as it is."""

        def move(spans: Spans) -> Spans:
            first, last = _span(spans, index)
            ends = first if start is None else start, last if stop is None else stop
            others = [s for k, s in enumerate(spans) if k != index]
            return (*others, choose_span(*ends, self.video.num_frames))

        self._change(lane, "an end", move)

    def split_span(self, lane: Lane, frame: int) -> None:
        """Split the span around a frame; the second part begins with the frame."""
        frame = self._frame(frame)

        def split(spans: Spans) -> Spans:
            for k, (first, last) in enumerate(spans):
                if first < frame <= last:
                    parts = (first, frame - 1), (frame, last)
                    return (*spans[:k], *parts, *spans[k + 1 :])
            raise InputError(
                f"no span goes on to frame {frame} from before: split within one"
            )

        self._change(lane, "split", split)

    def join_spans(self, lane: Lane, index: int) -> None:
        """Join a lane's span, by its index, with the next one."""

        def join(spans: Spans) -> Spans:
            (first, _), (_, last) = _span(spans, index), _span(spans, index + 1)
            return (*spans[:index], (first, last), *spans[index + 2 :])

        self._change(lane, "joined", join)

    def delete_span(self, lane: Lane, index: int) -> None:
        """Delete a span of a lane by its index; with the last one, the relation."""

        def delete(spans: Spans) -> Spans:
            _span(spans, index)
            return (*spans[:index], *spans[index + 1 :])

        self._change(lane, "a span less", delete)

    def unrelate(self, subject_id: int, object_id: int, predicate: str) -> None:
        """Delete a relation, drawn or guessed; the model guesses it no more."""
        self.set_spans((subject_id, object_id, predicate), ())

    # Internal

    def _change(self, lane: Lane, what: str, change: Callable[[Spans], Spans]) -> None:
        lane = self._lane(lane)
        spans = self._checked(change(self._spans(lane)), title_of(lane))
        self._act(f"{what}: {title_of(lane)}", lambda s: with_spans(s, lane, spans))

    def _spans(self, lane: Lane) -> Spans:
        """Return the spans of a lane as they are shown; InputError if there is none."""
        state = self._history.now
        if isinstance(lane, int):
            # As they are shown, so that an index means the same to all.
            (found,) = [o.lanes for o in self.objects() if o.object_id == lane]
            return found
        drawn = state.drawn_of.get(lane[:2], {}).get(lane[2])
        if drawn is not None:
            return drawn
        found = [
            span
            for r in self.relations()
            if (r.subject_id, r.object_id, r.predicate) == lane
            for span in r.spans
        ]
        if not found:
            raise InputError(f"{title_of(lane)} is no relation here: relate them first")
        return tuple(sorted(found))

    def _lane(self, lane: Lane) -> Lane:
        """Return a lane by the ids shown; InputError if it can be none."""
        if isinstance(lane, Sequence) and not isinstance(lane, str):
            return self._triple(lane)
        return self._shown(lane, "lane")

    def _triple(self, lane: Sequence) -> Triple:
        if len(lane) != 3 or not isinstance(lane[2], str):
            raise InputError(
                f"the lane is {lane!r}: give (subject, object, predicate), or an id"
            )
        subject_id, object_id = map(self._shown, lane[:2])
        if subject_id == object_id:
            raise InputError(
                f"object {object_id} is given twice: relate two different objects"
            )
        return subject_id, object_id, lane[2]

    def _checked(self, spans: Sequence, name: str) -> Spans:
        return check_spans(spans, self.video.num_frames, name)


def _in_view(state: SessionState, shown_id: int, clip: range) -> Iterable[int]:
    """Return the frames where an object is seen, all where it is not tracked yet."""
    group = state.shown[shown_id]
    masks = sum(
        any(item.kind == "mask" for item in prompts.items)
        for obj in group
        for prompts in obj.prompts.values()
    )
    tracked = any(t not in obj.prompts for obj in group for t in obj.observations)
    # Masks on several frames, as of annotations that were read, say where it is.
    told = tracked or masks > 1 or any(obj.presence is not None for obj in group)
    return state.visible(shown_id) if told else clip


def with_spans(state: SessionState, lane: Lane, spans: Spans | None) -> SessionState:
    """Return the state with other spans of a lane, by the ids shown; see `Lanes`."""
    if not isinstance(lane, int):
        return with_relation(state, lane, spans)
    for obj in state.shown[lane]:
        state = state.with_object(dataclasses.replace(obj, presence=spans))
    return state


def with_relation(
    state: SessionState, triple: Triple, spans: Spans | None
) -> SessionState:
    """Return the state with a drawn relation; None: without it; (): dismissed."""
    drawn = [r for r in state.drawn if _shown(state, r.triple) != triple]
    dismissed = [t for t in state.dismissed if _shown(state, t) != triple]
    if spans:
        drawn.append(DrawnRelation(*triple, spans))
    elif spans is not None:
        dismissed.append(triple)
    state = dataclasses.replace(state, drawn=tuple(drawn), dismissed=tuple(dismissed))
    if spans is None or spans:
        return state
    # A predicate that was set by hand is taken back as well.
    left = tuple(
        fix
        for fix in state.fixes
        if fix.predicate is None or _shown(state, (*fix.pair, fix.predicate)) != triple
    )
    return dataclasses.replace(state, fixes=left)


def _shown(state: SessionState, triple: Triple) -> Triple:
    return state.shown_id(triple[0]), state.shown_id(triple[1]), triple[2]


def _span(spans: Spans, index: int) -> tuple[int, int]:
    """Return a span by its index; InputError if there is none."""
    index = whole(index, "index")
    if not 0 <= index < len(spans):
        raise InputError(
            f"there is no span number {index}: there are {len(spans)}, from 0 on"
        )
    return spans[index]


def title_of(lane: Lane) -> str:
    """Return a lane in words, for undo and messages."""
    if isinstance(lane, int):
        return f"object {lane}"
    return f"{lane[0]} {lane[2]} {lane[1]}"
