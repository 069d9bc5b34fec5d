"""Match objects found on a frame to objects found there when it was tracked before.

Objects that a person prompted, named or related have priority, so that these edits are
not lost to an object that tracking found by itself.
"""

from collections.abc import Collection, Iterator, Mapping

import numpy as np

from c2g_jax.click2graph.model import Scene
from c2g_jax.media.rle import mask_iou
from c2g_jax.session.engine import Engine
from c2g_jax.session.session_state import SessionState
from c2g_jax.session.state_parts import Observation, TrackedObject
from c2g_jax.tracking.object_tracks import lies_on
from c2g_jax.tracking.state import PendingFrame
from c2g_jax.types import TrackRules


class EarlierObjects:
    """The `KnownObjects` of one frame: those of a session's state from earlier passes.

    found: the observations of new tracks, by the row of the scene.
    """

    def __init__(self, engine: Engine, state: SessionState):
        self._engine, self._state = engine, state
        self._rules: TrackRules = engine.model.config.rules
        self.found: dict[int, Observation] = {}

    def displaced(
        self, pending: PendingFrame, scene: Scene, queries: Mapping[int, np.ndarray]
    ) -> set[int]:
        """Return the tracks that end where an annotated object was found before.

        A track may arrive from frames that were tracked in the other direction, and
        link to the query that found such an object, which would then be lost. The
        track continues if it is prompted, or annotated and observed here before.
        """
        slot_of, gone = pending.state.slot_of(), set()
        for subject_id, rows in queries.items():
            own, limit = slot_of[subject_id], self._rules.subject_iou
            if scene.area[own] > 0:
                visible = [
                    row
                    for row in rows
                    if scene.area[row] > 0 and not lies_on(scene.iou, row, own, limit)
                ]
                gone |= self._displaced_by(pending, scene, subject_id, visible)
        return gone

    def _displaced_by(
        self,
        pending: PendingFrame,
        scene: Scene,
        subject_id: int,
        rows: Collection[int],
    ) -> set[int]:
        """Do the same for one subject; `rows` are its queries with a mask."""
        state, frame = self._state, pending.state.frame
        slot_of, link_iou = pending.state.slot_of(), self._rules.link_iou
        tracks = [
            t.object_id for t in pending.state.tracks if t.subject_id == subject_id
        ]
        claims = [
            obj
            for obj in self._observed(frame, subject_id, slot_of.keys())
            if obj.object_id in state.annotated
        ]
        weak = {
            i
            for i in tracks
            if i not in pending.state.pinned
            and (i not in state.annotated or frame not in state.objects[i].observations)
        }
        gone: set[int] = set()
        if not claims or not weak:
            return gone
        for row in rows:
            linked = {i for i in tracks if scene.iou[row, slot_of[i]] >= link_iou}
            if not linked or not linked <= weak or linked <= gone:
                continue
            mask = self._engine.native_mask(scene.rows.mask_logits[row])
            if any(_overlap(obj, frame, mask) >= link_iou for obj in claims):
                gone |= linked
        return gone

    def recognise(
        self,
        pending: PendingFrame,
        scene: Scene,
        opened: Mapping[int, int],
        subject_of: Mapping[int, int],
    ) -> dict[int, int | None]:
        """Return {new id: id of the object that an earlier pass found there}.

        So a person's edits of an object persist when its frames are tracked again.
        None stands for an object that was removed, which does not come back. Of the
        objects that match, annotated ones are taken first, then those that overlap
        most, then the older ones.
        """
        state, frame = self._state, pending.state.frame
        taken, fits = pending.state.slot_of().keys(), []
        for new_id, row in opened.items():
            found = self._engine.observe_row(scene, row, 0, state.revision)
            self.found[row] = found
            for obj in self._observed(frame, subject_of[new_id], taken):
                overlap = _overlap(obj, frame, found.mask)
                if overlap >= self._rules.link_iou:
                    not_annotated = obj.object_id not in state.annotated
                    fits.append((not_annotated, -overlap, obj.object_id, new_id))
        names: dict[int, int] = {}
        for _, _, object_id, new_id in sorted(fits):
            if new_id not in names and object_id not in names.values():
                names[new_id] = object_id
        return {new: i if state.alive(i) else None for new, i in names.items()}

    def _observed(
        self, frame: int, subject_id: int, taken: Collection[int]
    ) -> Iterator[TrackedObject]:
        """Yield a subject's objects observed on a frame before, but for `taken`."""
        for obj in self._state.objects.values():
            free = obj.subject_id == subject_id and obj.object_id not in taken
            if free and frame in obj.observations:
                yield obj


def _overlap(obj: TrackedObject, frame: int, mask: Mapping | None) -> float:
    """Return the IoU of a mask (COCO RLE) with an object's, 0 if either is None."""
    known = obj.observations[frame].mask
    return 0.0 if known is None or mask is None else mask_iou(known, mask)
