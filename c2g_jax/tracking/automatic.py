"""Find the objects of a video without any prompt, and follow them as subjects.

SAM2's automatic masks (from a grid of points) are computed on the first frame, and on
each `every`-th frame with at least `uncovered` of its area outside all tracked masks.
SAM2 alone tracks them; those that stay in view become subjects, the most confident
first, and of overlapping ones only the best. In a second pass, in waves of `WAVE`
subjects, DIDM and SCH look for what each of them interacts with.
"""

import copy
import dataclasses
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import jax
import numpy as np

from c2g_jax.click2graph.model import Click2Graph, apply_prompts, follow, remember
from c2g_jax.click2graph.settings import SpanConfig
from c2g_jax.media.images import resize_mask
from c2g_jax.media.rle import decode_mask, encode_mask, mask_ious
from c2g_jax.sam2.memory import MemoryBank, bucket, empty_bank
from c2g_jax.sam2.model import FrameFeatures, Sam2
from c2g_jax.sam2.predictors.automatic_masks import Sam2AutomaticMaskGenerator
from c2g_jax.sam2.prompts import no_prompt
from c2g_jax.sam2.track import LONG, encode_frame
from c2g_jax.tracking.loop import track_video
from c2g_jax.tracking.scene_graph import GraphBuilder
from c2g_jax.tracking.state import NativeMasks
from c2g_jax.types import AutoRules, Frame, FrameResult, Prompt, TrackRules

BATCH = 16  # objects that SAM2 follows at once: bounds the memory of a step
WAVE = 4  # subjects of a pass: with 3 objects each they fill 16 slots
_SPARE = 2  # objects followed for each subject wanted: some do not last
_NEW = 0.5  # least share of a later mask that is outside all tracked masks

Resize = Callable[[np.ndarray, int], np.ndarray]


@dataclass(frozen=True, eq=False)
class FoundObject:
    """An object that automatic masks found: its first mask, a COCO RLE, and place.

    score: the IoU that SAM2 predicted for that mask, in [0, 1]. seen: on how many
    frames it was in view.
    """

    object_id: int
    frame: int
    mask: Mapping
    score: float
    seen: int = 0

    def prompt(self, object_id: int | None = None) -> Prompt:
        """Return its mask as the prompt of a subject, by default under its own id."""
        number = self.object_id if object_id is None else object_id
        return Prompt(self.frame, number, mask=decode_mask(self.mask))


@dataclass(frozen=True, eq=False)
class _Batch:
    """Up to BATCH objects in one memory bank, the first rows of it."""

    ids: tuple[int, ...]
    bank: MemoryBank


class ObjectFinder:
    """Finds and follows objects frame by frame; `chosen` are those that last.

    Objects are numbered from 1 in the order in which they are found. They never
    interact: each is followed as SAM2 follows it alone.
    """

    def __init__(
        self,
        sam2: Sam2,
        rules: AutoRules,
        resize: Resize,
        num_frames: int | None = None,
        share_iou: float | None = TrackRules.share_iou,
    ):
        self._sam2, self._rules, self._resize = sam2, rules, resize
        self._num_frames = num_frames
        self._twin = 0.7 if share_iou is None else share_iou
        self._found: dict[int, FoundObject] = {}
        self._batches: list[_Batch] = []
        # By pair of ids, a < b: the frames with both in view, and those with twins.
        self._met: dict[tuple[int, int], list[int]] = {}
        self._generator = Sam2AutomaticMaskGenerator(
            sam2,
            points_per_side=rules.points_per_side,
            pred_iou_thresh=rules.pred_iou,
            stability_score_thresh=rules.stability,
            output_mode="coco_rle",
        )

    def step(self, frame: Frame) -> FrameResult:
        """Follow all objects to the next frame, find new ones there if it is due."""
        square = self._resize(frame.rgb, self._sam2.config.image_size)
        features = encode_frame(self._sam2, square)
        logits = self._follow(features, frame.index)
        room = _SPARE * self._rules.max_subjects - len(self._found)
        if frame.index % self._rules.every == 0 and room > 0:
            covered = np.any([own > 0 for own in logits.values()], axis=0)
            if not logits or 1 - covered.mean() >= self._rules.uncovered:
                logits |= self._find(frame, features, logits, room)
        logits = {i: own for i, own in logits.items() if (own > 0).any()}
        self._count(logits)
        masks = NativeMasks(logits, frame.height, frame.width)
        return FrameResult(frame.index, masks, (), dict.fromkeys(logits))

    def chosen(self, num_frames: int) -> list[FoundObject]:
        """Return the objects that last, at most `max_subjects`, the surest first.

        `num_frames` is the number of frames that were followed. Of objects that are
        equally sure, the one found first comes first.
        """
        least = min(self._rules.min_frames, num_frames)
        lasting = [x for x in self._found.values() if x.seen >= least]
        kept: list[FoundObject] = []
        for x in sorted(lasting, key=lambda x: (-x.score, x.object_id)):
            if not any(self._are_twins(x.object_id, y.object_id) for y in kept):
                kept.append(x)
        return kept[: self._rules.max_subjects]

    def _are_twins(self, one: int, other: int) -> bool:
        """Whether their masks overlap on half of the frames with both in view."""
        met, twins = self._met.get((min(one, other), max(one, other)), (0, 0))
        return met > 0 and 2 * twins >= met

    def _follow(self, features: FrameFeatures, index: int) -> dict[int, np.ndarray]:
        """Return the logits [4h, 4w] of each object on the frame."""
        pending, batches = [], []
        when = np.int32(self._num_frames or LONG)
        for batch in self._batches:
            active = np.arange(batch.bank.num_objects) < len(batch.ids)
            bank, answer = follow(
                self._sam2, batch.bank, features, np.int32(index), active, when
            )
            batches.append(dataclasses.replace(batch, bank=bank))
            pending.append(answer.mask_logits)
        self._batches, found = batches, {}
        for batch, logits in zip(batches, jax.device_get(pending), strict=True):
            found |= {i: logits[row] for row, i in enumerate(batch.ids)}
        return found

    def _find(
        self,
        frame: Frame,
        features: FrameFeatures,
        followed: Mapping[int, np.ndarray],
        room: int,
    ) -> dict[int, np.ndarray]:
        """Begin to follow new masks of a frame; return the logits of each."""
        size = self._sam2.config.low_res_size
        records = self._generator.generate(frame.rgb)
        records.sort(key=lambda r: -r["predicted_iou"])  # stable: ties by the grid
        known = [own > 0 for own in followed.values()]
        covered = np.any(known, axis=0) if known else np.zeros((size, size), bool)
        new: list[FoundObject] = []
        for record in records:
            mask = decode_mask(record["segmentation"])
            low = resize_mask(mask, size)
            area = low.sum()
            if mask.mean() < self._rules.min_area or not area:
                continue
            free = (low & ~covered).sum() >= _NEW * area
            if not free or any(_iou(low, own) >= self._twin for own in known):
                continue
            known.append(low)
            number = len(self._found) + len(new) + 1
            code, score = encode_mask(mask), float(record["predicted_iou"])
            new.append(FoundObject(number, frame.index, code, score))
            if len(new) == room:
                break
        found = {}
        for start in range(0, len(new), BATCH):
            part = new[start : start + BATCH]
            found |= self._begin(part, features, frame.index)
        self._found |= {x.object_id: x for x in new}
        return found

    def _begin(
        self, new: Sequence[FoundObject], features: FrameFeatures, index: int
    ) -> dict[int, np.ndarray]:
        """Open a batch for new objects; return the logits of each."""
        config, n = self._sam2.config, bucket(len(new))
        masks = np.zeros((n, config.image_size, config.image_size), np.float32)
        for row, x in enumerate(new):
            masks[row] = resize_mask(decode_mask(x.mask), config.image_size)
        given = np.arange(n) < len(new)
        nothing = jax.tree.map(np.asarray, no_prompt(n))
        answer = apply_prompts(
            self._sam2, features, None, nothing, masks, ~given, given
        ).without_candidates()
        bank = remember(
            self._sam2,
            empty_bank(config, n),
            features,
            answer,
            np.int32(index),
            given,
            given,
        )
        self._batches.append(_Batch(tuple(x.object_id for x in new), bank))
        logits = jax.device_get(answer.mask_logits)
        return {x.object_id: logits[row] for row, x in enumerate(new)}

    def _count(self, logits: Mapping[int, np.ndarray]) -> None:
        """Count the frames in view, and on which two objects have one mask."""
        for i in logits:
            x = self._found[i]
            self._found[i] = dataclasses.replace(x, seen=x.seen + 1)
        ids = sorted(logits)
        if not ids:
            return
        flat = np.stack([logits[i].ravel() > 0 for i in ids]).astype(np.float32)
        both, area = flat @ flat.T, flat.sum(axis=1)
        alike = both >= self._twin * (area[:, None] + area - both)
        for a, one in enumerate(ids):
            for b in range(a + 1, len(ids)):
                entry = self._met.setdefault((one, ids[b]), [0, 0])
                entry[0] += 1
                entry[1] += bool(alike[a, b])


def _iou(one: np.ndarray, other: np.ndarray) -> float:
    both = (one & other).sum()
    return both / max((one | other).sum(), 1)


def found_builder(
    chosen: Sequence[FoundObject],
    masks: Iterable[tuple[int, Mapping[int, Mapping]]],
    spans: SpanConfig,
) -> GraphBuilder:
    """Return the graph of the chosen objects as they were found, without relations.

    `masks` has for each frame the RLEs by the finder's ids; the chosen are numbered
    from 1 in their order.
    """
    number = {found.object_id: i for i, found in enumerate(chosen, 1)}
    builder = GraphBuilder(encode_mask, spans)
    for frame, codes in masks:
        own = {number[i]: code for i, code in codes.items() if i in number}
        builder.add_encoded(frame, own, (), dict.fromkeys(own))
    return builder


def model_for_waves(model: Click2Graph, rules: AutoRules) -> Click2Graph:
    """Return the model with `max_objects` as its cap of tracks; weights are shared."""
    capped = dataclasses.replace(model.config.rules, max_tracks=rules.max_objects)
    changed = copy.copy(model)
    changed.config = dataclasses.replace(model.config, rules=capped)
    return changed


def follow_in_waves(
    model: Click2Graph,
    frames: Callable[[], Iterable[Frame]],
    prompts: Sequence[Prompt],
    resize: Resize,
    num_frames: int | None,
    builder: GraphBuilder,
    wave: int = WAVE,
    every_predicate: bool = False,
    min_frames: int = 1,
) -> Iterator[FrameResult]:
    """Track prompted subjects, `wave` of them in each pass, into one graph.

    `frames()` begins the video anew for every pass. Yields the results of all passes,
    which `builder` has then; at the end masks of different waves that are one object
    are joined in it, and objects in view on fewer than `min_frames` are left out.
    `every_predicate`: results have a triplet for each predicate.
    """
    next_id = max([p.object_id for p in prompts], default=-1) + 1
    ids = list(dict.fromkeys(p.object_id for p in prompts))
    wave_of: dict[int, int] = {}
    for number, start in enumerate(range(0, len(ids), wave)):
        some = ids[start : start + wave]
        own = [p for p in prompts if p.object_id in some]
        for result in track_video(
            model,
            frames(),
            own,
            resize,
            num_frames,
            next_id=next_id,
            every_predicate=every_predicate,
        ):
            builder.add(result)
            for i in (*result.prompted_by, *result.merged, *result.merged.values()):
                wave_of.setdefault(i, number)
            yield result
        next_id = max([next_id, *(i + 1 for i in builder.ids)])
    if len(ids) > wave:
        builder.share_across(wave_of, mask_ious, model.config.rules)
    builder.drop_short(min(min_frames, num_frames or min_frames))
