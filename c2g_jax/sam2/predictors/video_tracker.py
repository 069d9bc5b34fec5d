"""Tracking in a video: prompts answered, frames followed, far ones brought back."""

from collections.abc import Iterator

import jax
import jax.numpy as jnp
import numpy as np

from c2g_jax.sam2 import track
from c2g_jax.sam2.masks import LOGIT_BOUND, resize_logits
from c2g_jax.sam2.memory import RECENT, MemoryBank, ring_slot
from c2g_jax.sam2.model import FrameFeatures, Sam2
from c2g_jax.sam2.predictors.frame_reader import EndOfVideo
from c2g_jax.sam2.predictors.postprocess import fill_holes
from c2g_jax.sam2.predictors.track_history import SNAPSHOT_EVERY, TrackedFrame
from c2g_jax.sam2.predictors.video_state import (
    ConditioningFrame,
    ObjectRecord,
    PromptOutput,
    VideoState,
)
from c2g_jax.sam2.prompts import Prompts, pad_points
from c2g_jax.sam2.track import encode_frame

# The functions that run on the device, shared by all who track in a video.


@jax.jit
def encode_conditioning_memory(model, features, mask_logits, object_score):
    """The memory [h, w, m] of one object's prompted frame."""
    size = model.config.image_size
    logits = resize_logits(mask_logits[None], size, size)
    present = object_score[None] > 0
    return model.encode_memory(features, logits, present, jnp.ones(1, bool))[0]


@jax.jit
def step(model, bank, features, frame, active, num_frames, direction):
    """A tracked frame: the bank after it, the output, and what the rings took in."""
    bank, output = track.track_step(
        model,
        bank,
        features,
        frame,
        active,
        num_frames=num_frames,
        direction=direction,
    )
    slot = ring_slot(frame, bank.stride)
    memory = jax.lax.dynamic_index_in_dim(bank.recent, slot, 1, keepdims=False)
    # The readings of an ambiguous prompt are large, and tracking has no use for them.
    kept = output._replace(candidates=None, candidate_ious=None)
    return bank, kept, memory


segment = jax.jit(track.segment)
segment_mask = jax.jit(track.segment_mask)
correct = jax.jit(track.correct)


class VideoTracker:
    """What a predictor asks of the model; all that lasts is in the `VideoState`."""

    def __init__(self, model: Sam2, fill_hole_area: int):
        self.model, self.fill_hole_area = model, fill_hole_area

    def propagate(
        self, state: VideoState, start: int, limit: int | None, direction: int
    ) -> Iterator[int]:
        """Track into the state from a frame on; yields the frames that are done.

        `limit` is the number of frames beyond the start, None for all there are.
        """
        self.restore(state, start, direction)
        bank, key = None, None
        frame = start
        while frame >= 0 and (state.num_frames is None or frame < state.num_frames):
            if limit is not None and abs(frame - start) > limit:
                return
            if not state.objects:
                return
            if frame == start or frame % SNAPSHOT_EVERY == 0:
                state.history.save_snapshot(frame, direction)
            try:
                self.encode_conditioning_frames(state)
                if state.bank_key(frame) != key:
                    key = state.bank_key(frame)
                    bank = state.bank_before(frame, direction)
                bank = self._track(state, bank, frame, direction)
            except EndOfVideo:
                return
            yield frame
            frame += direction

    def _track(
        self, state: VideoState, bank: MemoryBank, frame: int, direction: int
    ) -> MemoryBank:
        """Track one frame into the state; the bank after it."""
        active = np.zeros(len(bank.recent_frames), bool)
        for record in state.objects.values():
            begun = direction < 0 or record.is_prompted_by(frame)
            prompted = frame in record.outputs or not record.outputs
            active[record.slot] = begun and not prompted
        if not active.any():
            if state.num_frames is None:
                state.reader.read(frame)  # finds the end of a video of unknown length
            return bank
        features = self.features(state, frame)
        length = track.LONG if state.num_frames is None else state.num_frames
        bank, output, memory = step(
            self.model,
            bank,
            features,
            np.int32(frame),
            active,
            np.int32(length),
            np.int32(direction),
        )
        output, memory = jax.device_get((output, memory))
        logits = fill_holes(output.mask_logits, self.fill_hole_area)
        tracked = TrackedFrame(
            active, memory, output.obj_ptr, logits, output.iou, output.object_score
        )
        state.history.add(frame, tracked)
        for record in state.objects.values():
            if active[record.slot]:
                record.mark_tracked(frame, direction)
        return bank

    def restore_around(self, state: VideoState, frame: int) -> None:
        """Have the masks of a frame at hand, and what tracking it needs."""
        directions = {r.tracked_direction(frame) for r in state.objects.values()} - {0}
        for direction in sorted(directions, reverse=True):
            self.restore(state, frame, direction, inclusive=True)

    def restore(
        self, state: VideoState, frame: int, direction: int, inclusive: bool = False
    ) -> None:
        """Bring the tracked frames behind one back from a snapshot and the video.

        Those between the snapshot and the frame are tracked again.
        """
        nearest = frame if inclusive else frame - direction
        reach = max(self.model.config.max_obj_ptrs, (RECENT + 1) * state.stride)
        places = [nearest - direction * age for age in range(reach)]

        def gone(record: ObjectRecord, t: int) -> bool:
            if t < 0 or record.tracked_direction(t) != direction or t in record.outputs:
                return False
            held = state.history.frames.get(t)
            return held is None or not held.has(record.slot)

        if not any(gone(r, t) for r in state.objects.values() for t in places):
            return
        start = state.history.restore_snapshot(nearest, direction)
        if start is None:
            return
        self.encode_conditioning_frames(state)
        bank = state.bank_before(start, direction)
        for t in range(start, nearest + direction, direction):
            bank = self._track(state, bank, t, direction)

    def features(self, state: VideoState, frame: int) -> FrameFeatures:
        """The features of a frame, which the state holds for a while."""
        if frame in state.features:
            return state.features[frame]
        features = encode_frame(self.model, state.reader.read(frame))
        return state.keep_features(frame, features)

    def prompt_points(
        self,
        state: VideoState,
        record: ObjectRecord,
        frame: int,
        features: FrameFeatures,
        points: tuple[np.ndarray, np.ndarray],
        previous: tuple[np.ndarray, float, float] | None,
    ) -> PromptOutput:
        """The mask of one object for all the points it has on a frame."""
        coords, labels = pad_points([points])
        size = self.model.config.low_res_size
        logits = np.zeros((1, size, size), np.float32)
        if previous is not None:
            logits[0] = np.clip(previous[0], -LOGIT_BOUND, LOGIT_BOUND)
        fed_back = np.array([previous is not None])
        prompts = Prompts(coords, labels, logits, fed_back)
        direction = record.tracked_direction(frame)
        if not direction:
            return self._output(segment(self.model, features, prompts))
        bank = state.bank_before(frame, direction)
        own = jax.tree.map(lambda x: x[record.slot : record.slot + 1], bank)
        length = track.LONG if state.num_frames is None else state.num_frames
        result = correct(
            self.model,
            own,
            features,
            np.int32(frame),
            prompts,
            num_frames=np.int32(length),
            direction=np.int32(direction),
        )
        return self._output(result)

    def prompt_mask(self, features: FrameFeatures, square: np.ndarray) -> PromptOutput:
        """What a given mask, bool [S, S], outputs for an object."""
        return self._output(segment_mask(self.model, features, square[None]))

    def _output(self, result: track.Segmentation) -> PromptOutput:
        result = jax.device_get(result)
        logits = fill_holes(result.mask_logits[0], self.fill_hole_area)
        score = float(result.object_score[0])
        return PromptOutput(logits, float(result.iou[0]), score, result.obj_ptr[0])

    def encode_conditioning_frames(self, state: VideoState) -> None:
        """Encode the memory of each prompted frame whose output is new."""
        for record in state.objects.values():
            for frame, output in record.outputs.items():
                entry = record.conditioning_frames.get(frame)
                if entry is None or entry.output is not output:
                    memory = encode_conditioning_memory(
                        self.model,
                        self.features(state, frame),
                        output.mask_logits,
                        np.float32(output.object_score),
                    )
                    steps = record.steps if entry is None else entry.steps_before
                    entry = ConditioningFrame(output, jax.device_get(memory), steps)
                    record.conditioning_frames[frame] = entry
