"""Segment and track objects in a video (sam2/sam2_video_predictor.py)."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from c2g_jax.media.images import resize_mask
from c2g_jax.media.masks import to_mask
from c2g_jax.media.video import open_video
from c2g_jax.sam2.masks import NO_OBJECT
from c2g_jax.sam2.model import Sam2
from c2g_jax.sam2.predictors.postprocess import enlarge_logits, suppress_overlaps
from c2g_jax.sam2.predictors.user_prompts import points_and_box
from c2g_jax.sam2.predictors.video_state import ObjectRecord, VideoState
from c2g_jax.sam2.predictors.video_tracker import VideoTracker
from c2g_jax.sam2.track import ObjectOutput
from c2g_jax.types import InputError, whole

MAX_STRIDE = 9  # temporal stride of memories: a stream's window holds 7 times as many


class _Masks(NamedTuple):
    frame_idx: int
    obj_ids: list
    masks: np.ndarray


class VideoMasks(_Masks):
    """Masks of all objects on one frame.

    Unpacks to upstream's (frame_idx, obj_ids, masks); masks are logits float32
    [n, 1, H, W] at the video's size, above 0 inside. Further attributes: `ious` float32
    [n], predicted; `object_scores` float32 [n], logits, above 0 where the object is in
    view. Both are nan where there is no output.
    """

    ious: np.ndarray
    object_scores: np.ndarray


class Sam2VideoPredictor:
    """Track prompted objects through a video, all of them as one batch.

    Methods and arguments are those of upstream's `SAM2VideoPredictor`.
    """

    def __init__(
        self,
        model: Sam2,
        fill_hole_area: int = 8,
        non_overlap_masks: bool = False,
        memory_temporal_stride: int = 1,
        max_cond_frames_in_attn: int = -1,
    ):
        """Raises InputError where an option is out of range.

        fill_hole_area: holes of up to that many low-resolution pixels are filled.
        non_overlap_masks: each pixel goes to the object with the highest logit.
        memory_temporal_stride: with r > 1 frames attend to the memories of the
        preceding frame and of frames whose index is a multiple of r.
        max_cond_frames_in_attn: the number of prompted frames, the closest in time,
        attended to as conditioning frames; -1 for all.
        """
        if not 1 <= memory_temporal_stride <= MAX_STRIDE:
            raise InputError(
                f"memory_temporal_stride is {memory_temporal_stride}: use 1 to"
                f" {MAX_STRIDE}"
            )
        if max_cond_frames_in_attn != -1 and max_cond_frames_in_attn < 2:
            raise InputError(
                f"max_cond_frames_in_attn is {max_cond_frames_in_attn}: use 2 or more,"
                " or -1 for all"
            )
        self.model = model
        self.tracker = VideoTracker(model, fill_hole_area)
        self.non_overlap_masks = non_overlap_masks
        self.stride = memory_temporal_stride
        limit = max_cond_frames_in_attn
        self.max_conditioning = None if limit == -1 else limit

    def init_state(
        self, video_path: str | Path | Iterable[np.ndarray], fps: float | None = None
    ) -> VideoState:
        """Open a video file, a folder of frames, an image, or an iterator of frames.

        Frames are uint8 RGB [H, W, 3], decoded when they are needed. `fps` samples a
        file by time; None takes every frame.
        """
        video = open_video(video_path, fps=fps)
        config = self.model.config
        return VideoState(video, config, self.stride, self.max_conditioning)

    def reset_state(self, inference_state: VideoState) -> None:
        """Remove all objects, prompts and outputs."""
        for record in inference_state.objects.values():
            record.forget_tracking()
        inference_state.objects.clear()
        inference_state.version += 1

    def add_new_points_or_box(
        self,
        inference_state: VideoState,
        frame_idx: int,
        obj_id,
        points: np.ndarray | None = None,
        labels: np.ndarray | None = None,
        clear_old_points: bool = True,
        normalize_coords: bool = True,
        box: np.ndarray | None = None,
    ) -> VideoMasks:
        """Prompt an object on a frame; return the masks of that frame.

        points [p, 2] as (x, y) pixels of the video (or in [0, 1], with
        normalize_coords=False) with labels [p], 1 inside and 0 outside; box [4] as
        (x1, y1, x2, y2). With clear_old_points=False the points are added to
        those already given on this frame. A frame that was tracked before is corrected,
        given its previous mask and the object's memories; it becomes a conditioning
        frame. Other frames change when they are tracked again.

        A box may reach beyond the edges of the frame. The mask that the frame has goes
        in again with every call, also with clear_old_points=True, as upstream: the same
        prompt given again changes the mask a little, until
        `clear_all_prompts_in_frame`.
        """
        state = inference_state
        frame_idx = state.check_frame(frame_idx)
        state.check_id(obj_id)
        if box is not None and not clear_old_points:
            raise InputError("a box replaces earlier points: use clear_old_points=True")
        coords, point_labels = points_and_box(
            points, labels, box, (state.width, state.height), normalize_coords
        )
        coords = coords * np.float32(self.model.config.image_size)
        prompt = (coords, point_labels)
        known = state.objects.get(obj_id)
        if known is not None and not clear_old_points and frame_idx in known.points:
            pairs = zip(known.points[frame_idx], prompt, strict=True)
            prompt = tuple(np.concatenate(pair) for pair in pairs)
        features = self.tracker.features_to_prompt(state, frame_idx)
        record = state.get_or_add(obj_id)
        previous = state.output(obj_id, frame_idx)
        output = self.tracker.prompt_points(
            state, record, frame_idx, features, prompt, previous
        )
        record.points[frame_idx] = prompt
        record.masks.pop(frame_idx, None)
        return self._add_output(state, record, frame_idx, output)

    add_new_points = add_new_points_or_box  # its name before it took boxes

    def add_new_mask(
        self, inference_state: VideoState, frame_idx: int, obj_id, mask: np.ndarray
    ) -> VideoMasks:
        """Prompt an object with its mask, bool [H, W]; an empty mask: not in view.

        Also 0 and 1, 0 and 255, numbers from 0 to 1, or a PIL image (`media.masks`);
        logits are refused. A mask of any size is resized to the whole frame.
        """
        state = inference_state
        frame_idx = state.check_frame(frame_idx)
        state.check_id(obj_id)
        square = resize_mask(to_mask(mask), self.model.config.image_size)
        features = self.tracker.features_to_prompt(state, frame_idx)
        output = self.tracker.prompt_mask(features, square)
        record = state.get_or_add(obj_id)
        record.masks[frame_idx] = square
        record.points.pop(frame_idx, None)
        return self._add_output(state, record, frame_idx, output)

    def clear_all_prompts_in_frame(
        self, inference_state: VideoState, frame_idx: int, obj_id
    ) -> VideoMasks:
        """Remove the prompts of an object on a frame.

        The outputs that were tracked with them are removed too. An object without any
        prompt left stays, and is absent on every frame.
        """
        state = inference_state
        frame_idx = state.check_frame(frame_idx)
        record = self._known(state, obj_id)
        record.points.pop(frame_idx, None)
        record.masks.pop(frame_idx, None)
        record.outputs.pop(frame_idx, None)
        conditioning = record.conditioning_frames.pop(frame_idx, None)
        if conditioning is not None and record.steps > conditioning.steps_before:
            record.forget_tracking()
        state.version += 1
        return self._masks(state, frame_idx)

    def remove_object(
        self, inference_state: VideoState, obj_id, strict: bool = False
    ) -> tuple[list, list[VideoMasks]]:
        """Remove an object; the others do not change.

        Returns the remaining ids, and the masks of the frames on which the object was
        prompted. With `strict` an unknown id raises InputError.
        """
        state = inference_state
        state.check_id(obj_id)
        if obj_id not in state.objects and not strict:
            return state.obj_ids, []
        record = self._known(state, obj_id)
        record.forget_tracking()
        del state.objects[obj_id]
        state.version += 1
        frames = sorted(record.outputs) if state.objects else []
        return state.obj_ids, [self._masks(state, t) for t in frames]

    def propagate_in_video(
        self,
        inference_state: VideoState,
        start_frame_idx: int | None = None,
        max_frame_num_to_track: int | None = None,
        reverse: bool = False,
    ) -> Iterator[VideoMasks]:
        """Track all objects, frame by frame, from a start to an end of the video.

        Yields the start frame, by default the first prompted one (in reverse: the last
        one), and at most `max_frame_num_to_track` frames beyond it. Forward, an object
        is absent before the first frame it is prompted on; in reverse it is tracked
        there. Prompts added during the iteration take effect from the next frame.

        A frame attends to what was stored last for its neighbours, whichever direction
        it was tracked in. A stream can be tracked in reverse over the frames that it
        still holds. InputError where nothing is prompted, and where the video does not
        have the frames.
        """
        state = inference_state
        prompted = [t for record in state.objects.values() for t in record.outputs]
        if not prompted:
            raise InputError("no object is prompted: add a point, a box or a mask")
        direction = -1 if reverse else 1
        if start_frame_idx is None:
            start_frame_idx = max(prompted) if reverse else min(prompted)
        start = state.check_frame(start_frame_idx, "start_frame_idx")
        limit = max_frame_num_to_track
        if limit is not None:
            limit = whole(limit, "max_frame_num_to_track", 0)
        if reverse:
            state.reader.check_back(start, limit)
        frames = self.tracker.propagate(state, start, limit, direction)
        for frame in frames:
            yield self._masks(state, frame)

    def _add_output(
        self, state: VideoState, record: ObjectRecord, frame: int, output: ObjectOutput
    ) -> VideoMasks:
        record.outputs[frame] = output
        state.version += 1
        return self._masks(state, frame)

    def _known(self, state: VideoState, obj_id) -> ObjectRecord:
        state.check_id(obj_id)
        if obj_id not in state.objects:
            raise InputError(
                f"there is no object {obj_id!r}: choose one of {state.obj_ids}"
            )
        return state.objects[obj_id]

    def _masks(self, state: VideoState, frame: int) -> VideoMasks:
        size, n = self.model.config.low_res_size, len(state.objects)
        logits = np.full((n, size, size), NO_OBJECT, np.float32)
        ious, scores = np.full((2, n), np.nan, np.float32)
        for row, obj_id in enumerate(state.objects):
            output = state.output(obj_id, frame)
            if output is not None:
                logits[row], ious[row], scores[row] = output
        masks = enlarge_logits(logits, state.height, state.width)
        if self.non_overlap_masks:
            masks = suppress_overlaps(masks)
        result = VideoMasks(frame, state.obj_ids, masks[:, None])
        result.ious, result.object_scores = ious, scores
        return result
