"""The model on one video: encode frames, segment prompted objects, make observations.

It holds nothing but bounded caches: all outputs follow from the frames and from a
`SessionState`.
"""

import collections
import contextlib
import weakref
from collections.abc import Mapping, Sequence

import jax
import numpy as np

from c2g_jax.click2graph.geometry import mask_moments
from c2g_jax.click2graph.model import Click2Graph, Scene
from c2g_jax.click2graph.pooling import pool_mask
from c2g_jax.media.images import resize_frame, resize_mask
from c2g_jax.media.rle import decode_mask, encode_mask
from c2g_jax.media.spill import SpillFile
from c2g_jax.media.video import Video
from c2g_jax.sam2.masks import LOGIT_BOUND
from c2g_jax.sam2.memory import MemoryBank
from c2g_jax.sam2.model import FrameFeatures
from c2g_jax.sam2.predictors import video_tracker
from c2g_jax.sam2.predictors.frame_reader import FrameReader
from c2g_jax.sam2.predictors.postprocess import enlarge_logits, window_above
from c2g_jax.sam2.prompts import Prompts, pad_points
from c2g_jax.sam2.track import ObjectOutput
from c2g_jax.session.memory_cache import MemoryCache
from c2g_jax.session.moments import moments_of
from c2g_jax.session.observation_arrays import ObservationArrays
from c2g_jax.session.state_parts import (
    FramePrompts,
    Observation,
    PromptItem,
    TrackedObject,
)
from c2g_jax.types import BOX_FIRST, BOX_SECOND, InputError, whole

_SURE = 10.0  # the absolute logit of a mask whose own logits are not known


@jax.jit
def _pool(features: FrameFeatures, mask_logits: jax.Array) -> jax.Array:
    return pool_mask(features.embed, mask_logits > 0)


class Engine:
    """The model on one video; `cached_frames` encoded frames are held."""

    def __init__(self, model: Click2Graph, video: Video, cached_frames: int = 8):
        if video.num_frames is None:
            raise InputError(
                "the frames come from an iterator, which cannot be read again: give a "
                "file, a folder or a list"
            )
        self.model, self.video = model, video
        self.num_frames = video.num_frames
        self.config = model.config.sam2
        spill = SpillFile("the logits and memories of tracked frames")
        self.logits = ObservationArrays(spill)
        self._reader = FrameReader(video, None)
        # Closes also without a call of `close`: when the engine is deleted, or at exit.
        self._finalizer = weakref.finalize(self, _close, self._reader, spill)
        self._cached_frames = whole(cached_frames, "cached_frames", 1)
        self._features: collections.OrderedDict = collections.OrderedDict()
        memories = ObservationArrays(spill)
        self.memories = MemoryCache(self.config, memories, self._memory)

    def features(self, frame: int) -> FrameFeatures:
        """Return the features of a frame; those of the last few frames are cached."""
        if frame not in self._features:
            square = resize_frame(self._reader.read(frame), self.config.image_size)
            self._features[frame] = video_tracker.encode_frame(self.model.sam2, square)
            while len(self._features) > self._cached_frames:
                self._features.popitem(last=False)
        self._features.move_to_end(frame)
        return self._features[frame]

    def encode_ahead(self, frame: int) -> None:
        """Queue the encoding of a frame that `features` will be asked for next."""
        # A frame that cannot be read is an error when its turn comes.
        with contextlib.suppress(InputError):
            self.features(frame)

    def close(self) -> None:
        self._features.clear()
        self.memories.clear()
        self.logits.clear()
        self._finalizer()

    # Prompts

    def answer(
        self,
        obj: TrackedObject,
        frame: int,
        prompts: FramePrompts,
        previous: Observation | None = None,
    ) -> ObjectOutput:
        """Segment an object on a frame from all its prompts there.

        Each item refines the output of those before it, so that the same items always
        give the same mask. The first one refines `prompts.base` with the memories of
        the object, if it was tracked there. `previous` is what all items but the last
        one gave, if that is held; the last one is then a point, for masks and boxes
        replace earlier items.
        """
        items, base = prompts.items, prompts.base
        bank, direction = None, 1
        if base is not None and base.direction != 0:
            direction = base.direction
            bank = self.memories.bank({0: obj}, frame, direction, 1)
        if previous is not None:
            masks = [i for i, item in enumerate(items) if item.kind == "mask"]
            if masks:
                items, bank = items[masks[-1] + 1 :], None
            answer = self.answer_of(previous)
            return self._take_points(frame, items, answer, bank, direction)
        answer = None if base is None else self.answer_of(base)
        current: list[PromptItem] = []
        for item in items:
            if item.kind == "mask":
                answer, current = self._take_mask(frame, item), []
                bank = None
                continue
            current.append(item)
            answer = self._take_points(frame, current, answer, bank, direction)
        return answer

    def _take_mask(self, frame: int, item: PromptItem) -> ObjectOutput:
        square = resize_mask(decode_mask(item.mask), self.config.image_size)
        result = video_tracker.segment_mask(
            self.model.sam2, self.features(frame), square[None]
        )
        return result.object_output(0)

    def _take_points(
        self,
        frame: int,
        items: Sequence[PromptItem],
        previous: ObjectOutput | None,
        bank: MemoryBank | None,
        direction: int,
    ) -> ObjectOutput:
        boxes = [item.box for item in items if item.kind == "box"][-1:]
        points = [item for item in items if item.kind == "point"]
        coords = [pair for box in boxes for pair in (box[:2], box[2:])]
        labels = [label for _ in boxes for label in (BOX_FIRST, BOX_SECOND)]
        coords += [item.point for item in points]
        labels += [int(item.positive) for item in points]
        scale = self.config.image_size / np.float32(
            [self.video.width, self.video.height]
        )
        padded = pad_points([(np.float32(coords) * scale, np.int32(labels))])
        size = self.config.low_res_size
        logits = np.zeros((1, size, size), np.float32)
        if previous is not None:
            logits[0] = np.clip(previous.logits, -LOGIT_BOUND, LOGIT_BOUND)
        prompts = Prompts(*padded, logits, np.array([previous is not None]))
        features = self.features(frame)
        if bank is None:
            result = video_tracker.segment(self.model.sam2, features, prompts)
        else:
            result = video_tracker.correct(
                self.model.sam2,
                bank,
                features,
                np.int32(frame),
                prompts,
                num_frames=np.int32(self.num_frames),
                direction=np.int32(direction),
            )
        return result.object_output(0)

    # Observations

    def observe(
        self,
        answer: ObjectOutput,
        feature: np.ndarray,
        direction: int,
        made: int,
        mask: Mapping | None = None,
    ) -> Observation:
        """Make an observation, its mask at the video's size, and store its logits.

        `mask`: the mask that a person gave, in place of that of the logits, in which
        what is smaller than their cells would be lost.
        """
        observation = Observation(
            self.native_mask(answer.logits) if mask is None else mask,
            answer.iou,
            answer.object_score,
            np.asarray(feature, np.float32),
            answer.pointer,
            mask_moments(answer.logits[None] > 0)[0]
            if mask is None
            else moments_of(mask),
            direction,
            made,
        )
        self.logits.put(observation, answer.logits)
        return observation

    def observe_row(
        self, scene: Scene, row: int, direction: int, made: int
    ) -> Observation:
        """Make an observation of a row of a scene that is on the host."""
        answer = scene.rows.object_output(row)
        return self.observe(answer, scene.pooled[row], direction, made)

    def native_mask(self, logits: np.ndarray) -> Mapping | None:
        """Encode logits [4h, 4w] as an RLE at the video's size, None if it is empty."""
        if not (logits > 0).any():
            return None
        height, width = self.video.height, self.video.width
        window = window_above(logits, 0.0, height, width)
        mask = np.zeros((height, width), bool)
        mask[window] = enlarge_logits(logits, height, width, window) > 0
        return encode_mask(mask) if mask.any() else None

    def pooled(self, frame: int, logits: np.ndarray) -> np.ndarray:
        """Return float32 [c], the features of a frame pooled under one mask."""
        return np.asarray(_pool(self.features(frame), logits[None]))[0]

    def answer_of(self, observation: Observation) -> ObjectOutput:
        """Return the output that an observation was made from.

        Its logits are made from the mask if it is of a session's file without them.
        """
        logits = self.logits.get(observation)
        if logits is None:
            size = self.config.low_res_size
            logits = np.full((size, size), -_SURE, np.float32)
            if observation.mask is not None:
                mask = decode_mask(observation.mask)
                logits[resize_mask(mask, size)] = _SURE
        return ObjectOutput(
            logits, observation.iou, observation.object_score, observation.pointer
        )

    def _memory(self, observation: Observation, frame: int) -> np.ndarray:
        """Encode the memory [h, w, m] of an observation from its logits."""
        return video_tracker.encode_memory(
            self.model.sam2,
            self.features(frame),
            self.answer_of(observation).logits,
            np.float32(observation.object_score),
            np.bool_(observation.direction == 0),
        )


def _close(reader: FrameReader, spill: SpillFile) -> None:
    reader.close()
    spill.close()
