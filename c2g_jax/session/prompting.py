"""Prompts of a session: points, boxes, masks, brush; add, select and remove objects."""

import contextlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import numpy as np

from c2g_jax.media.rle import decode_mask
from c2g_jax.session import arguments, automatic, edits, prompt_deletion
from c2g_jax.session.core import SessionCore
from c2g_jax.session.state_parts import PromptItem
from c2g_jax.session.strokes import paint
from c2g_jax.session.views import FindUpdate, FrameView
from c2g_jax.types import AutoRules, InputError, real, whole


class Prompting(SessionCore):
    """The methods that say where an object is."""

    def click(
        self,
        frame: int,
        x: float,
        y: float,
        positive: bool = True,
        object_id: int | None = None,
    ) -> FrameView:
        """Add a point on an object, or (`positive` False) on what is not part of it.

        Without an `object_id` the point begins a new subject; with one it corrects that
        object, on any frame. Other frames change when they are tracked again.
        """
        frame = self._frame(frame)
        item = arguments.point(self.video, frame, x, y, positive)
        return self._prompt(frame, item, object_id)

    def box(
        self,
        frame: int,
        x1: float,
        y1: float,
        x2: float,
        y2: float,
        object_id: int | None = None,
    ) -> FrameView:
        """Add a box around an object; it replaces the object's prompts on the frame."""
        frame = self._frame(frame)
        item = arguments.box(self.video, frame, (x1, y1, x2, y2))
        return self._prompt(frame, item, object_id)

    def mask(
        self, frame: int, mask: np.ndarray, object_id: int | None = None
    ) -> FrameView:
        """Set an object's mask, bool [H, W]; it replaces its prompts on the frame.

        It is shown exactly as it is given: bool, or 0 and 1, 0 and 255, numbers from 0
        to 1, or a PIL image (`media.masks`).
        """
        frame = self._frame(frame)
        return self._prompt(frame, arguments.mask(self.video, frame, mask), object_id)

    def brush(
        self,
        frame: int,
        points: Sequence[tuple[float, float]],
        radius: float,
        erase: bool = False,
        object_id: int | None = None,
    ) -> FrameView:
        """Paint a stroke along points (x, y) onto an object's mask, or erase one.

        The result is a mask prompt, in place of the object's other prompts on the
        frame. Without an `object_id` the stroke begins a new subject. InputError if
        nothing of the mask would be left.
        """
        frame = self._frame(frame)
        size = self.video.height, self.video.width
        radius = real(radius, "radius", 0.5, max(size))
        mask = np.zeros(size, bool)
        if object_id is not None:
            object_id, shown_id = whole(object_id, "object_id"), self._shown(object_id)
            seen = self._history.now.observation(shown_id, frame)
            mask = mask if seen is None else decode_mask(seen.mask)
        mask = paint(mask, points, radius, not erase)
        if not mask.any():
            raise InputError(
                "nothing of the mask would be left: end the span in which the object "
                "is present, or delete the object"
            )
        return self._prompt(
            frame, arguments.mask(self.video, frame, mask), object_id, "stroke"
        )

    def add_object(self, subject_id: int, frame: int, x: float, y: float) -> FrameView:
        """Add an object of a subject by a point on it, where the model found none."""
        subject_id = whole(subject_id, "subject_id")
        frame = self._frame(frame)
        item = arguments.point(self.video, frame, x, y)
        self._act(
            f"object of {subject_id} on frame {frame}",
            lambda s: edits.add_object(self._engine, s, subject_id, frame, item),
        )
        return self.view(frame)

    def find_everything(
        self,
        rules: AutoRules | None = None,
        advance: Callable[[int], Any] = lambda frames: None,
    ) -> list[int]:
        """Find every object that stays in view; each is a new subject, by its mask.

        Objects that the session has already are left out. It is one action; returns
        the ids of the new subjects. `advance` is called with the frames done. `cancel`,
        from another thread, ends it without any change.
        """
        known, done = set(self._history.now.objects), 0
        for update in self.finding(rules):
            if update.done > done:
                advance(update.done - done)
            done = update.done
        return sorted(set(self._history.now.objects) - known)

    def finding(self, rules: AutoRules | None = None) -> Iterator[FindUpdate]:
        """Like `find_everything`, step by step; yield how far it is after each.

        At its end all that was found is there. Ended before, by `cancel`, an error or
        a closed iterator, it has changed nothing.
        """
        self._history.check_open()
        return self._find(rules or AutoRules())

    def _find(self, rules: AutoRules) -> Iterator[FindUpdate]:
        steps = self._history.act_in_steps(
            "everything found",
            "everything is being found",
            lambda state: automatic.find_steps(self._engine, state, rules),
        )
        done = 0
        with contextlib.closing(steps):
            for frames in steps:
                done += frames
                yield FindUpdate(done, self.video.num_frames)

    def delete_prompt(self, frame: int, object_id: int, index: int) -> FrameView:
        """Delete a point, box or mask, by its index in the view's list of prompts.

        The tracked mask of the frame is restored, and if all frames had been tracked
        before the prompt, what was tracked then; otherwise the frames tracked with it
        are stale. An object that a person added is removed with its last prompt.
        """
        frame, index = self._frame(frame), whole(index, "index")
        object_id = whole(object_id, "object_id")
        self._act(
            f"prompt deleted on frame {frame}",
            lambda s: prompt_deletion.delete_prompt(
                self._engine, s, object_id, frame, index, self._history.before()
            ),
        )
        return self.view(frame)

    def remove(self, object_id: int | Iterable[int]) -> None:
        """Remove an object, or several; with a subject, also its objects alone."""
        several = isinstance(object_id, Iterable)
        ids = [whole(i, "object_id") for i in (object_id if several else [object_id])]
        if not ids:
            raise InputError("no object is named: give the ids of those to remove")
        listed = ", ".join(map(str, ids))
        what = f"object{'s' * (len(ids) > 1)} {listed} removed"

        def change(state):
            for i in ids:
                state.object(i)  # all exist, before any is removed
            for i in ids:
                # A subject takes its own objects along.
                state = edits.remove(state, i) if state.alive(i) else state
            return state

        self._act(what, change)

    def object_at(self, frame: int, x: float, y: float) -> int | None:
        """Return the id of the object at a point, the smallest of several; else None.

        A page selects it in place of making a twin of it.
        """
        frame, state = self._frame(frame), self._history.now
        item = arguments.point(self.video, frame, x, y)
        column, row = (int(v) for v in item.point)
        found = []
        for shown_id in state.shown:
            seen = state.observation(shown_id, frame)
            mask = None if seen is None else decode_mask(seen.mask)
            if mask is not None and mask[row, column]:
                found.append((int(mask.sum()), shown_id))
        return min(found)[1] if found else None

    def _prompt(
        self,
        frame: int,
        item: PromptItem,
        object_id: int | None,
        word: str | None = None,
    ) -> FrameView:
        if object_id is not None:
            object_id = whole(object_id, "object_id")
        whom = "a new subject" if object_id is None else f"object {object_id}"
        self._act(
            f"{word or item.kind} for {whom} on frame {frame}",
            lambda s: edits.prompt(self._engine, s, object_id, frame, item),
        )
        return self.view(frame)
