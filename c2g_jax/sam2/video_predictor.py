"""Segment and track objects in a video, by the names SAM2's users know."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from c2g_jax.images import resize_mask
from c2g_jax.sam2 import prompts as prompting
from c2g_jax.sam2 import track
from c2g_jax.sam2.masks import NO_OBJECT, resize_logits
from c2g_jax.sam2.model import FrameFeatures, Sam2
from c2g_jax.sam2.postprocess import enlarge_logits, fill_holes, keep_apart
from c2g_jax.sam2.preprocess import normalize_frames
from c2g_jax.sam2.prompts import Prompts
from c2g_jax.sam2.video_state import (
    Answer,
    Commitment,
    EndOfVideo,
    ObjectRecord,
    TrackedFrame,
    VideoState,
)
from c2g_jax.types import InputError
from c2g_jax.video import open_video

_LOGIT_BOUND = 32.0  # of an earlier answer that is fed back with a correction


class VideoMasks(NamedTuple):
    """Masks of all objects on one frame; unpacks as SAM2's users expect."""

    frame_idx: int
    obj_ids: list[int]
    masks: np.ndarray  # float32 logits [n, 1, H, W] at the video's size, > 0 inside


@jax.jit
def encode_frame(model: Sam2, frame: jax.Array) -> FrameFeatures:
    """Features of a uint8 frame [S, S, 3]."""
    return model.encode_image(normalize_frames(frame[None]))


@jax.jit
def _encode_prompted(model, features, mask_logits, object_score):
    """The memory [h, w, m] of one object's prompted frame."""
    size = model.config.image_size
    logits = resize_logits(mask_logits[None], size, size)
    present = object_score[None] > 0
    return model.encode_memory(features, logits, present, jnp.ones(1, bool))[0]


@jax.jit
def _step(model, bank, features, frame, active, num_frames, direction):
    """A tracked frame: the bank after it, the answer, and what the rings took in."""
    bank, answer = track.track_step(
        model,
        bank,
        features,
        frame,
        active,
        num_frames=num_frames,
        direction=direction,
    )
    slot = frame % bank.recent.shape[1]
    memory = jax.lax.dynamic_index_in_dim(bank.recent, slot, 1, keepdims=False)
    # The readings of an ambiguous prompt are large, and tracking has no use for them.
    kept = answer._replace(candidates=None, candidate_ious=None)
    return bank, kept, memory


_segment = jax.jit(track.segment)
_segment_mask = jax.jit(track.segment_mask)
_correct = jax.jit(track.correct)


class Sam2VideoPredictor:
    """Tracks prompted objects through a video, all of them as one batch."""

    def __init__(
        self, model: Sam2, fill_hole_area: int = 8, non_overlap_masks: bool = False
    ):
        """Holes of up to `fill_hole_area` low-resolution pixels are filled.

        With `non_overlap_masks` each pixel goes to the object that claims it most.
        """
        self.model = model
        self.fill_hole_area = fill_hole_area
        self.non_overlap_masks = non_overlap_masks

    def init_state(
        self, video_path: str | Path | Iterable[np.ndarray], fps: float | None = None
    ) -> VideoState:
        """Open a video file, a folder of frames, an image, or an iterator of frames.

        Frames are uint8 RGB [H, W, 3] and stream: nothing is decoded before it is
        needed. `fps` samples a file by time; None takes every frame.
        """
        return VideoState(open_video(video_path, fps=fps), self.model.config)

    def reset_state(self, inference_state: VideoState) -> None:
        """Forget all objects, prompts and masks."""
        inference_state.objects.clear()
        inference_state.history.clear()

    def add_new_points_or_box(
        self,
        inference_state: VideoState,
        frame_idx: int,
        obj_id: int,
        points: np.ndarray | None = None,
        labels: np.ndarray | None = None,
        clear_old_points: bool = True,
        normalize_coords: bool = True,
        box: np.ndarray | None = None,
    ) -> VideoMasks:
        """Prompt an object on a frame, and see its mask at once.

        points [p, 2] as (x, y) pixels of the video (or in [0, 1], with
        normalize_coords=False) with labels [p], 1 inside and 0 outside; box [4] as
        (x1, y1, x2, y2). With clear_old_points=False the points join those already
        given on this frame. A frame that was tracked before is corrected: the mask
        found there and the object's memories are taken into account.
        """
        state = inference_state
        state.check_frame(frame_idx)
        known = state.objects.get(obj_id)
        earlier = None
        if known is not None and not clear_old_points:
            earlier = known.points.get(frame_idx)
        scale = np.float32(self.model.config.image_size)
        size = np.float32([state.width, state.height])
        given = _points_and_box(points, labels, box, size, normalize_coords)
        if box is not None and not clear_old_points:
            raise InputError("a box starts a prompt anew: use clear_old_points=True")
        given = (given[0] * scale, given[1])
        if earlier is not None:
            given = tuple(
                np.concatenate(pair) for pair in zip(earlier, given, strict=True)
            )
        features = self._features(state, frame_idx)

        record = state.record(obj_id)
        previous = state.answer(obj_id, frame_idx)
        answer = self._ask(state, record, frame_idx, features, given, previous)
        record.points[frame_idx] = given
        record.masks.pop(frame_idx, None)
        record.answers[frame_idx] = answer
        return self._masks(state, frame_idx)

    def add_new_mask(
        self, inference_state: VideoState, frame_idx: int, obj_id: int, mask: np.ndarray
    ) -> VideoMasks:
        """Give an object's mask, bool [H, W], on a frame; an empty one: not in view.

        Any size is taken as a picture of the whole frame.
        """
        state = inference_state
        state.check_frame(frame_idx)
        mask = np.asarray(mask)
        if mask.ndim != 2 or 0 in mask.shape:
            raise InputError(f"a mask of shape {mask.shape} is given: make it HxW")
        size = self.model.config.image_size
        square = resize_mask(mask.astype(bool), size)
        features = self._features(state, frame_idx)
        result = _segment_mask(self.model, features, square[None])
        record = state.record(obj_id)
        record.masks[frame_idx] = square
        record.points.pop(frame_idx, None)
        record.answers[frame_idx] = self._answer(result)
        return self._masks(state, frame_idx)

    def propagate_in_video(
        self,
        inference_state: VideoState,
        start_frame_idx: int | None = None,
        max_frame_num_to_track: int | None = None,
        reverse: bool = False,
    ) -> Iterator[VideoMasks]:
        """Track all objects, frame by frame, from a start to an end of the video.

        The start, by default the first prompted frame (in reverse: the last one), is
        given too, and at most `max_frame_num_to_track` frames beyond it. Forward, an
        object is absent before the first frame on which it is prompted; in reverse it
        is tracked there.
        """
        state = inference_state
        prompted = [t for record in state.objects.values() for t in record.answers]
        if not prompted:
            raise InputError("no object is prompted: add a point, a box or a mask")
        direction = -1 if reverse else 1
        if start_frame_idx is None:
            start_frame_idx = max(prompted) if reverse else min(prompted)
        state.check_frame(start_frame_idx)
        self._commit_prompts(state)
        bank = state.bank_before(start_frame_idx, direction)
        frame = start_frame_idx
        while frame >= 0 and (state.num_frames is None or frame < state.num_frames):
            beyond = (frame - start_frame_idx) * direction
            if max_frame_num_to_track is not None and beyond > max_frame_num_to_track:
                return
            try:
                bank = self._track(state, bank, frame, direction)
            except EndOfVideo:
                return
            yield self._masks(state, frame)
            frame += direction

    def _track(self, state, bank, frame, direction):
        """Track one frame into the state; the bank after it."""
        active = np.zeros(bank.num_objects, bool)
        for record in state.objects.values():
            begun = direction < 0 or record.begins_by(frame)
            active[record.slot] = begun and frame not in record.answers
        if not active.any():
            if state.num_frames is None:
                state.reader.read(frame)  # finds the end of a video of unknown length
            return bank
        features = self._features(state, frame)
        length = track.LONG if state.num_frames is None else state.num_frames
        bank, answer, memory = _step(
            self.model,
            bank,
            features,
            np.int32(frame),
            active,
            np.int32(length),
            np.int32(direction),
        )
        logits = fill_holes(np.asarray(answer.mask_logits), self.fill_hole_area)
        tracked = TrackedFrame(
            active,
            memory,
            answer.obj_ptr,
            logits,
            np.asarray(answer.iou),
            np.asarray(answer.object_score),
        )
        state.keep_tracked(frame, tracked, direction)
        return bank

    def _features(self, state: VideoState, frame: int) -> FrameFeatures:
        if frame in state.features:
            return state.features[frame]
        features = encode_frame(self.model, state.reader.read(frame))
        return state.keep_features(frame, features)

    def _ask(
        self,
        state: VideoState,
        record: ObjectRecord,
        frame: int,
        features: FrameFeatures,
        points: tuple[np.ndarray, np.ndarray],
        previous: tuple[np.ndarray, float, float] | None,
    ) -> Answer:
        """The mask of one object for all the points it has on a frame."""
        coords, labels = prompting.pad_points([points])
        size = self.model.config.low_res_size
        logits = np.zeros((1, size, size), np.float32)
        if previous is not None:
            logits[0] = np.clip(previous[0], -_LOGIT_BOUND, _LOGIT_BOUND)
        fed_back = np.array([previous is not None])
        prompts = Prompts(coords, labels, logits, fed_back)
        if frame not in record.tracked:
            return self._answer(_segment(self.model, features, prompts))
        direction = record.tracked[frame]
        bank = state.bank_before(frame, direction)
        own = jax.tree.map(lambda x: x[record.slot : record.slot + 1], bank)
        length = track.LONG if state.num_frames is None else state.num_frames
        result = _correct(
            self.model,
            own,
            features,
            np.int32(frame),
            prompts,
            num_frames=np.int32(length),
            direction=np.int32(direction),
        )
        return self._answer(result)

    def _answer(self, result: track.Segmentation) -> Answer:
        logits = fill_holes(np.asarray(result.mask_logits[0]), self.fill_hole_area)
        return Answer(
            logits,
            float(result.iou[0]),
            float(result.object_score[0]),
            result.obj_ptr[0],
        )

    def _commit_prompts(self, state: VideoState) -> None:
        """Encode the memory of each prompted frame whose answer is new."""
        for record in state.objects.values():
            for frame, answer in record.answers.items():
                entry = record.committed.get(frame)
                if entry is None or entry.answer is not answer:
                    features = self._features(state, frame)
                    score = np.float32(answer.object_score)
                    memory = _encode_prompted(
                        self.model, features, answer.mask_logits, score
                    )
                    record.committed[frame] = Commitment(answer, memory)

    def _masks(self, state: VideoState, frame: int) -> VideoMasks:
        size = self.model.config.low_res_size
        logits = np.full((len(state.objects), size, size), NO_OBJECT, np.float32)
        for row, obj_id in enumerate(state.objects):
            answer = state.answer(obj_id, frame)
            if answer is not None:
                logits[row] = answer[0]
        masks = enlarge_logits(logits, state.height, state.width)
        if self.non_overlap_masks:
            masks = keep_apart(masks)
        return VideoMasks(frame, state.obj_ids, masks[:, None])


def _points_and_box(points, labels, box, size, in_pixels):
    """Coordinates in [0, 1] [p, 2] and labels [p], the box's corners first."""
    if (points is None) != (labels is None):
        raise InputError("points and labels go together: give both or neither")
    if points is None and box is None:
        raise InputError("no prompt is given: pass points with labels, or a box")
    scale = np.float32(1) / size if in_pixels else np.float32(1)
    coords, kinds = np.zeros((0, 2), np.float32), np.zeros(0, np.int32)
    if points is not None:
        coords = np.asarray(points, np.float32).reshape(-1, 2)
        kinds = np.asarray(labels, np.int32).reshape(-1)
        if len(coords) != len(kinds) or not np.isin(kinds, (0, 1)).all():
            raise InputError(
                f"{len(coords)} points have labels {kinds.tolist()}:"
                " give each 1 (inside) or 0 (outside)"
            )
    if box is not None:
        corners = np.asarray(box, np.float32).reshape(2, 2)
        if not (corners[1] > corners[0]).all():
            raise InputError(
                f"box {np.ravel(box).tolist()} is empty: give x1 < x2, y1 < y2"
            )
        coords = np.concatenate([corners, coords])
        ends = np.int32([prompting.BOX_FIRST, prompting.BOX_SECOND])
        kinds = np.concatenate([ends, kinds])
    coords = coords * scale
    if not ((coords >= 0) & (coords <= 1)).all():
        unit = f"{size[0]:.0f}x{size[1]:.0f}" if in_pixels else "[0, 1]"
        raise InputError(f"a point lies outside the frame: keep within {unit}")
    return coords, kinds
