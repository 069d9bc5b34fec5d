"""A scripted world that replaces the functions that run on the device.

A frame's brightness encodes its number. A thing is a number with a square mask on every
frame; a click on its mask prompts it, its object pointer identifies it in memories, and
DIDM finds the things that a script names. Things of one decade look alike: 11 and 12
do, 11 and 21 do not. Thing k is of class k, and a pair's predicate is the object's
number.
"""

import dataclasses
from types import SimpleNamespace

import jax
import numpy as np

from c2g_jax.click2graph.model import Scene, mask_ious
from c2g_jax.click2graph.sch import BestTriplet, SchLogits
from c2g_jax.sam2.memory import forget, push_conditioning
from c2g_jax.sam2.predictors import video_tracker
from c2g_jax.sam2.track import Segmentation
from c2g_jax.session import engine, labels
from c2g_jax.tracking import loop as tracking
from tests.scripted import CONFIG, SIDE
from tests.scripted import model as model  # a session asks no more than tracking

SMALL = 16  # the side of masks; SIDE is that of the model image and of the video
NOTHING = 0
FRAMES = 12


def video(count: int = FRAMES) -> list[np.ndarray]:
    return [np.full((SIDE, SIDE, 3), 10 + 8 * t, np.uint8) for t in range(count)]


class World:
    """places: thing -> (row, column) in small cells, 4 x 4 of them, for each frame.

    finds: (thing of the subject, frame) -> the three things its queries land on.
    """

    def __init__(self):
        self.places = {1: self.still(1, 1), 11: self.still(1, 6)}
        self.places |= {12: self.still(6, 1), 21: self.still(6, 6)}
        self.places |= {2: self.still(11, 1)}
        self.finds = lambda thing, frame: (11, NOTHING, NOTHING)
        self.steps = []  # (frame, things in active slots)

    @staticmethod
    def still(row, column):
        return lambda frame: (row, column)

    def install(self, patch) -> None:
        """`patch(module, name, function)` puts a function in its place."""
        for name in ("encode_frame", "segment", "segment_mask", "correct"):
            patch(video_tracker, name, getattr(self, name))
        for name in (
            "follow",
            "discover_objects",
            "classify_pairs",
            "gather_rows",
            "remember",
        ):
            patch(tracking, name, getattr(self, name))
        patch(engine, "_pool", self.pool)
        memory = np.zeros((4, 4, 32), np.float32)
        patch(video_tracker, "encode_memory", lambda *_: memory)
        patch(labels, "_classify", self.classify)

    def mask(self, thing: int, frame: int) -> np.ndarray:
        mask = np.zeros((SMALL, SMALL), bool)
        place = self.places[thing](frame) if thing in self.places else None
        if place is not None:
            mask[place[0] : place[0] + 4, place[1] : place[1] + 4] = True
        return mask

    def rows(self, things, masks) -> Segmentation:
        pointers = np.zeros((len(things), CONFIG.sam2.d_model), np.float32)
        pointers[np.arange(len(things)), things] = 1.0
        logits = np.where(masks, 8.0, -8.0).astype(np.float32)
        present = np.where(masks.any(axis=(1, 2)), 5.0, -5.0).astype(np.float32)
        ious = np.full(len(things), 0.75, np.float32)
        return Segmentation(logits, ious, present, pointers, None, None)

    # Replacements of functions of `video_tracker`.

    def encode_frame(self, sam2, square):
        return SimpleNamespace(frame=round((float(square.mean()) - 10) / 8))

    def segment(self, sam2, features, prompts):
        coords, kinds = prompts.point_coords[0], prompts.point_labels[0]
        cells = np.clip(coords // 4, 0, SMALL - 1).astype(int)
        masks = {i: self.mask(i, features.frame) for i in self.places}
        hit = NOTHING
        inside = [c for c, k in zip(cells, kinds, strict=True) if k == 1]
        corners = [c for c, k in zip(coords, kinds, strict=True) if k in (2, 3)]
        if corners:
            inside = [(np.mean(corners, axis=0) // 4).astype(int), *inside]
        for x, y in inside:
            hit = next((i for i, mask in masks.items() if mask[y, x]), hit)
        mask = masks.get(hit, np.zeros((SMALL, SMALL), bool)).copy()
        if hit == NOTHING and inside:
            mask[inside[-1][1], inside[-1][0]] = True
        for (x, y), kind in zip(cells, kinds, strict=True):
            if kind == 0:
                mask[y, x] = False
        return self.rows([hit], mask[None])

    def correct(self, sam2, bank, features, frame, prompts, num_frames, direction):
        assert features.frame == frame
        return self.segment(sam2, features, prompts)

    def segment_mask(self, sam2, features, masks):
        small = masks[0].reshape(SMALL, 4, SMALL, 4).mean(axis=(1, 3)) >= 0.5
        overlaps = {
            i: (self.mask(i, features.frame) & small).sum() for i in self.places
        }
        best = max(overlaps, key=overlaps.get)
        return self.rows([best if overlaps[best] else NOTHING], small[None])

    # Replacements of functions of `click2graph` and of SCH.

    def follow(self, sam2, bank, features, frame, active, num_frames, direction):
        assert features.frame == frame
        things = np.zeros(len(active), int)
        for slot in np.flatnonzero(active):
            frames = [*bank.conditioning_frames[slot], *bank.pointer_frames[slot]]
            pointers = [*bank.conditioning_pointers[slot], *bank.pointers[slot]]
            # A tracked frame that is as near as a prompted one is the later word.
            known = [(abs(t - frame), k) for k, t in enumerate(frames) if t >= 0]
            behind = [x for x in known if (frame - frames[x[1]]) * direction > 0]
            things[slot] = int(np.argmax(pointers[min(behind or known)[1]]))
        self.steps.append((int(frame), tuple(things[active].tolist())))
        masks = np.stack([self.mask(thing, int(frame)) for thing in things])
        answer = self.rows(things, masks)
        ring = int(frame) % bank.pointers.shape[1]
        pointers, frames = bank.pointers.copy(), bank.pointer_frames.copy()
        pointers[active, ring] = answer.obj_ptr[active]
        frames[active, ring] = frame
        bank = dataclasses.replace(bank, pointers=pointers, pointer_frames=frames)
        return bank, answer

    def gather_rows(self, rows, source):
        return jax.tree.map(lambda x: np.asarray(x)[source], rows)

    def remember(self, sam2, bank, features, answer, frame, where, fresh):
        assert features.frame == frame
        write = jax.jit(push_conditioning)
        bank = forget(bank, fresh)
        memories = np.zeros(bank.conditioning[:, 0].shape, np.float32)
        bank = write(bank, memories, answer.obj_ptr, frame, where)
        return jax.tree.map(np.array, bank)  # `follow` writes into it

    def feature(self, thing: int) -> np.ndarray:
        feature = np.zeros(CONFIG.sam2.d_model, np.float32)
        feature[thing // 10 * 10], feature[100 + thing % 10] = 1.0, 0.02
        return feature

    def pool(self, features, logits):
        things = [self.thing_of(x > 0, features.frame) for x in logits]
        return np.stack([self.feature(i) for i in things])

    def thing_of(self, mask, frame) -> int:
        overlaps = {i: (self.mask(i, frame) & mask).sum() for i in self.places}
        best = max(overlaps, key=overlaps.get)
        return best if overlaps[best] else NOTHING

    def discover_objects(self, parts, features, answer, subjects, owner):
        things = [int(np.argmax(p)) for p in answer.obj_ptr]
        found = [i for s in subjects for i in self.finds(things[s], features.frame)]
        masks = np.stack([self.mask(i, features.frame) for i in found])
        extra = self.rows(found, masks)
        rows = [
            np.concatenate(pair) for pair in zip(answer[:4], extra[:4], strict=True)
        ]
        points = np.full((len(subjects), 3, 2), 0.5, np.float32)
        return self.scene(Segmentation(*rows, None, None), points)

    def classify_pairs(self, sch, features, answer, owner):
        return self.scene(answer)

    def scene(self, rows, points=None) -> Scene:
        area, iou = (np.asarray(x) for x in mask_ious(rows.mask_logits > 0))
        things = np.argmax(rows.obj_ptr, axis=1)
        pooled = np.stack([self.feature(int(i)) for i in things])
        best = BestTriplet(things, things, things % 57, np.full(len(things), 0.5))
        return Scene(points, rows, area, iou, best, pooled)

    def classify(
        self, sch, subject, other, subject_pointer, pointer, *moments
    ) -> SchLogits:
        def logits(things, count, most):
            out = np.zeros((len(things), count), np.float32)
            out[np.arange(len(things)), things] = most
            return out

        first, second = subject_pointer.argmax(axis=1), pointer.argmax(axis=1)
        return SchLogits(
            logits(first, 126, 8.0), logits(second, 127, 8.0), logits(second, 58, 8.0)
        )
