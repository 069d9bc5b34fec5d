"""Run both video predictors by the same calls, and collect their outputs."""

import dataclasses
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from c2g_jax.sam2.predictors.video import Sam2VideoPredictor
from porting.pair import Clip


@dataclasses.dataclass(frozen=True)
class VideoPrompt:
    """A prompt for both predictors; `arguments` of add_new_points_or_box or _mask."""

    frame: int
    obj_id: int
    arguments: Mapping[str, Any]  # points and labels, box, or mask


@dataclasses.dataclass(frozen=True)
class ObjectOutput:
    """Output of one implementation for one object on one frame."""

    masks: np.ndarray  # logits [H, W] at the video's size
    mask_logits: np.ndarray  # [4h, 4w]
    object_score: float
    obj_ptr: np.ndarray  # [c]
    memory: np.ndarray  # [h, w, m]


Run = dict[tuple[int, int], ObjectOutput]  # by (frame, object id)


class _Session:
    """A predictor with a clip open."""

    def prompt(self, prompts: Iterable[VideoPrompt]) -> None:
        for prompt in prompts:
            add = self.predictor.add_new_points_or_box
            if "mask" in prompt.arguments:
                add = self.predictor.add_new_mask
            where = dict(frame_idx=prompt.frame, obj_id=prompt.obj_id)
            add(self.state, **where, **prompt.arguments)

    def propagate(self, **settings) -> Run:
        """Track; `settings` are those of `propagate_in_video`."""
        run = {}
        steps = self.predictor.propagate_in_video(self.state, **settings)
        for frame, ids, masks in steps:
            for row, obj_id in enumerate(ids):
                tracked = self._collect(frame, obj_id, row, np.asarray(masks[row, 0]))
                if tracked is not None:
                    run[frame, obj_id] = tracked
        return run


class OurSession(_Session):
    """Our predictor; hole filling is off, as in the reference."""

    def __init__(self, clip: Clip, **options):
        """`options` are further arguments of the predictor."""
        self.predictor = Sam2VideoPredictor(clip.pair.ours, fill_hole_area=0, **options)
        self.state = self.predictor.init_state(list(clip.frames))
        self.state.features = {t: clip.features(t) for t in range(len(clip.frames))}

    def replace_mask(self, frame: int, obj_id: int, logits: np.ndarray) -> np.ndarray:
        """Replace the logits [4h, 4w] of a prompt's output; return the old ones."""
        outputs = self.state.objects[obj_id].outputs
        output = outputs[frame]
        outputs[frame] = output._replace(logits=logits)
        return output.logits

    def _collect(self, frame, obj_id, row, masks) -> ObjectOutput | None:
        record = self.state.objects[obj_id]
        tracked = record.history.get(frame)
        if frame in record.conditioning_frames:
            output, memory, _ = record.conditioning_frames[frame]
            pointer = output.pointer
        elif tracked is not None:
            memory, pointer = tracked.memory, tracked.pointer
        else:
            return None  # before the object's first prompt
        logits, _, score = self.state.output(obj_id, frame)
        parts = (np.asarray(x) for x in (pointer, memory))
        return ObjectOutput(masks, np.asarray(logits), float(score), *parts)


class ReferenceSession(_Session):
    """The reference's predictor; memories are bfloat16 outside `float32_memory`."""

    def __init__(self, clip: Clip):
        self.predictor = clip.pair.reference
        self.state = clip.open_reference()

    def prompted_mask(self, frame: int, row: int = 0) -> np.ndarray:
        """Return the logits [4h, 4w] of a new prompt, for the object of a row."""
        outputs = self.state["temp_output_dict_per_obj"][row]["cond_frame_outputs"]
        return outputs[frame]["pred_masks"][0, 0].numpy()

    def _collect(self, frame, obj_id, row, masks) -> ObjectOutput:
        outputs = self.state["output_dict_per_obj"][row]
        output = outputs["cond_frame_outputs"].get(frame)
        output = output or outputs["non_cond_frame_outputs"][frame]
        return ObjectOutput(
            masks,
            output["pred_masks"][0, 0].numpy(),
            output["object_score_logits"].item(),
            output["obj_ptr"][0].numpy(),
            output["maskmem_features"].float()[0].permute(1, 2, 0).numpy(),
        )


def run_ours(clip: Clip, prompts: Iterable[VideoPrompt], **propagate) -> Run:
    """Prompt, then propagate with our predictor."""
    session = OurSession(clip)
    session.prompt(prompts)
    return session.propagate(**propagate)


def run_reference(clip: Clip, prompts: Iterable[VideoPrompt], **propagate) -> Run:
    """Prompt, then propagate with the reference's predictor."""
    session = ReferenceSession(clip)
    session.prompt(prompts)
    return session.propagate(**propagate)
