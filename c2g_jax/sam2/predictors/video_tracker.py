"""Tracking of prompted objects through the state of a video."""

import contextlib
from collections.abc import Iterator

import jax
import numpy as np

from c2g_jax.sam2 import track
from c2g_jax.sam2.masks import LOGIT_BOUND, resize_logits
from c2g_jax.sam2.memory import MemoryBank, ring_slot
from c2g_jax.sam2.model import FrameFeatures, Sam2, for_inference
from c2g_jax.sam2.predictors.frame_reader import EndOfVideo
from c2g_jax.sam2.predictors.postprocess import fill_holes
from c2g_jax.sam2.predictors.track_history import TrackedFrame
from c2g_jax.sam2.predictors.video_state import (
    ConditioningFrame,
    ObjectRecord,
    VideoState,
)
from c2g_jax.sam2.prompts import Prompts, pad_points
from c2g_jax.sam2.track import ObjectOutput, encode_frame
from c2g_jax.types import InputError

_FEATURES_KEPT = 2  # frames whose features are cached

# Compiled functions, also used by interactive sessions.


@jax.jit
def encode_memory(model, features, mask_logits, object_score, prompted):
    """Encode the memory [h, w, m] of one object on a frame, `prompted` there or not."""
    size = model.config.image_size
    logits = resize_logits(mask_logits[None], size, size)
    present = object_score[None] > 0
    return model.encode_memory(features, logits, present, prompted[None])[0]


@jax.jit
def step(model, bank, features, frame, active, num_frames, direction):
    """Track one frame: return the new bank, the output and the encoded memory."""
    bank, output = track.track_step(
        model, bank, features, frame, active, num_frames=num_frames, direction=direction
    )
    slot = ring_slot(frame, bank.stride)
    memory = jax.lax.dynamic_index_in_dim(bank.recent, slot, 1, keepdims=False)
    return bank, output.without_candidates(), memory


segment = jax.jit(track.segment)
segment_mask = jax.jit(track.segment_mask)
correct = jax.jit(track.correct)


class VideoTracker:
    """Run the model for a video predictor. The tracker itself has no state."""

    def __init__(self, model: Sam2, fill_hole_area: int):
        self.model = for_inference(model)
        self.fill_hole_area = fill_hole_area

    def propagate(
        self, state: VideoState, start: int, limit: int | None, direction: int
    ) -> Iterator[int]:
        """Track from a frame on, into the state; yield the index of each tracked frame.

        `limit` is the number of frames beyond the start, None for no limit.
        """
        bank, key = None, None
        frame = start

        def is_asked_for(frame: int) -> bool:
            ended = state.num_frames is not None and frame >= state.num_frames
            return (
                frame >= 0
                and not ended
                and (limit is None or abs(frame - start) <= limit)
            )

        while is_asked_for(frame):
            if not state.objects:
                return
            try:
                self.encode_conditioning_frames(state)
                tracked = state.tracked_slots(frame, direction)
                if not tracked and state.num_frames is None:
                    state.reader.read(frame)  # raises EndOfVideo at the end
                if tracked:
                    if state.bank_key(frame, tracked) != key:
                        key = state.bank_key(frame, tracked)
                        bank = state.bank_before(frame, direction)
                    following = frame + direction
                    # The next frame of a stream may not have come yet.
                    ahead = state.num_frames is not None and is_asked_for(following)
                    bank = self._track(
                        state, bank, frame, direction, following if ahead else None
                    )
            except EndOfVideo:
                # Where a stream ends is known when it has ended.
                if frame == start or state.num_frames is not None:
                    raise
                return
            yield frame
            frame += direction

    def _track(
        self,
        state: VideoState,
        bank: MemoryBank,
        frame: int,
        direction: int,
        following: int | None,
    ) -> MemoryBank:
        """Track one frame into the state; return the new bank.

        `following` is encoded while the device works.
        """
        active = np.zeros(len(bank.recent_frames), bool)
        active[list(state.tracked_slots(frame, direction))] = True
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
        if following is not None:
            # A frame that cannot be read is an error when its turn comes.
            with contextlib.suppress(InputError):
                self.features(state, following)
        output, memory = jax.device_get((output, memory))
        logits = fill_holes(output.mask_logits, self.fill_hole_area)
        for record in state.objects.values():
            row = record.slot
            if active[row]:
                # Copies: a view of a row would keep the whole batch.
                arrays = (x[row].copy() for x in (memory, output.obj_ptr, logits))
                numbers = float(output.iou[row]), float(output.object_score[row])
                record.history.add(frame, TrackedFrame(*arrays, *numbers, direction))
                record.steps += 1
        return bank

    def features(self, state: VideoState, frame: int) -> FrameFeatures:
        """Return the features of a frame, from the cache of the state if there."""
        if frame not in state.features:
            state.features[frame] = encode_frame(self.model, state.reader.read(frame))
            while len(state.features) > _FEATURES_KEPT:
                state.features.popitem(last=False)
        return state.features[frame]

    def features_to_prompt(self, state: VideoState, frame: int) -> FrameFeatures:
        """Return the features of a frame; InputError if a stream does not hold it."""
        reader = state.reader
        if reader.one_way and frame not in reader.held:
            reader.check_near(frame)
            # The frames that were prompted may be gone when the stream has gone on.
            self.encode_conditioning_frames(state)
        return self.features(state, frame)

    def prompt_points(
        self,
        state: VideoState,
        record: ObjectRecord,
        frame: int,
        features: FrameFeatures,
        points: tuple[np.ndarray, np.ndarray],
        previous: tuple[np.ndarray, float, float] | None,
    ) -> ObjectOutput:
        """Segment one object from all its points on a frame.

        `previous` is the output (mask logits, IoU, score) on that frame, if any, whose
        logits are fed back as a mask prompt. On a frame that the object was tracked on,
        its memories are used.
        """
        coords, labels = pad_points([points])
        size = self.model.config.low_res_size
        logits = np.zeros((1, size, size), np.float32)
        if previous is not None:
            logits[0] = np.clip(previous[0], -LOGIT_BOUND, LOGIT_BOUND)
        has_mask = np.array([previous is not None])
        prompts = Prompts(coords, labels, logits, has_mask)
        tracked = record.history.get(frame)
        if tracked is None:
            return self._output(segment(self.model, features, prompts))
        direction = tracked.direction
        bank = state.bank_before(frame, direction)
        own_bank = jax.tree.map(lambda x: x[record.slot : record.slot + 1], bank)
        length = track.LONG if state.num_frames is None else state.num_frames
        result = correct(
            self.model,
            own_bank,
            features,
            np.int32(frame),
            prompts,
            num_frames=np.int32(length),
            direction=np.int32(direction),
        )
        return self._output(result)

    def prompt_mask(self, features: FrameFeatures, square: np.ndarray) -> ObjectOutput:
        """Return the output for a mask prompt, bool [S, S]."""
        return self._output(segment_mask(self.model, features, square[None]))

    def _output(self, result: track.Segmentation) -> ObjectOutput:
        output = result.object_output(0)
        return output._replace(logits=fill_holes(output.logits, self.fill_hole_area))

    def encode_conditioning_frames(self, state: VideoState) -> None:
        """Encode the memory of each prompted frame whose output is new or changed."""
        for record in state.objects.values():
            for frame, output in record.outputs.items():
                entry = record.conditioning_frames.get(frame)
                if entry is None or entry.output is not output:
                    memory = encode_memory(
                        self.model,
                        self.features(state, frame),
                        output.logits,
                        np.float32(output.object_score),
                        np.bool_(True),
                    )
                    steps = record.steps if entry is None else entry.steps_before
                    entry = ConditioningFrame(output, jax.device_get(memory), steps)
                    record.conditioning_frames[frame] = entry
