"""A scripted replacement for the model's functions in `tracking`.

A thing is a number with a mask on every frame. A prompt whose first point is (x, 0)
selects thing x, and the queries of a subject find the things given by a script. Tests
thus set what the model outputs, and check what tracking makes of it.
"""

import dataclasses
from types import SimpleNamespace
from typing import NamedTuple

import numpy as np

from c2g_jax.click2graph import model as click2graph
from c2g_jax.click2graph.model import Scene, click2graph_config
from c2g_jax.click2graph.sch import BestTriplet
from c2g_jax.sam2.config import sam2_config
from c2g_jax.sam2.track import Segmentation
from c2g_jax.tracking import loop as tracking
from c2g_jax.tracking import state as tracking_state
from c2g_jax.tracking.loop import track_video
from c2g_jax.tracking.state import TrackingState
from c2g_jax.types import Frame, Prompt

SIDE = 64  # of the model image; masks are 16 x 16 at native size too
CONFIG = click2graph_config(sam2_config("toy", SIDE))
NOTHING = -1


class ScriptedBank(NamedTuple):
    """A memory bank with the thing of each slot, and the frames of its prompts."""

    things: tuple[int, ...]
    prompted: tuple[tuple[int, ...], ...]
    num_conditioning: int

    @property
    def num_objects(self) -> int:
        return len(self.things)


class World:
    """masks(thing, frame) -> bool [16, 16]; finds(subject thing, frame) -> 3 things."""

    def __init__(self, masks, finds, confidence=lambda thing: 0.5):
        self.masks, self.finds, self.confidence = masks, finds, confidence
        self.followed = []  # of each call: (frame, the things in active slots)
        self.encoded = 0
        self.frame = 0

    def install(self, monkeypatch) -> None:
        monkeypatch.setattr(tracking, "follow", lambda *args: self.follow(*args[:-1]))
        for name in (
            "encode_frame",
            "apply_prompts",
            "discover_objects",
            "classify_pairs",
            "gather_rows",
            "put_rows",
            "spread_rows",
            "remember",
        ):
            monkeypatch.setattr(tracking, name, getattr(self, name))
        monkeypatch.setattr(tracking_state, "empty_bank", self.empty_bank)
        monkeypatch.setattr(tracking_state, "grow", self.grow)

    def rows(self, things) -> Segmentation:
        masks = np.zeros((len(things), 16, 16), bool)
        for row, thing in enumerate(things):
            if thing != NOTHING:
                masks[row] = self.masks(int(thing), self.frame)
        return Segmentation(
            np.where(masks, 10.0, -10.0), None, None, np.array(things), None, None
        )

    def scene(self, rows: Segmentation, points=None) -> Scene:
        masks = rows.mask_logits > 0
        area, iou = click2graph.mask_ious(masks)
        things = rows.obj_ptr
        confidence = np.array([self.confidence(int(t)) for t in things])
        names = np.maximum(things, 0).astype(int)
        best = BestTriplet(names, names, names % 57, confidence)
        return Scene(points, rows, np.asarray(area), np.asarray(iou), best)

    # Replacements for functions of `click2graph` and `sam2.memory`.

    def encode_frame(self, sam2, image):
        self.encoded += 1
        return int(image[0, 0, 0])  # the number of the frame

    def follow(self, sam2, bank, features, frame, active, num_frames):
        self.frame = int(frame)
        assert features == self.frame
        things = np.where(active, bank.things, NOTHING)
        self.followed.append((self.frame, tuple(things[active].tolist())))
        return bank, self.rows(things)

    def apply_prompts(self, sam2, features, answer, prompts, masks, by_points, by_mask):
        self.frame = features
        things = np.full(len(by_points), NOTHING) if answer is None else answer.obj_ptr
        coords = np.asarray(prompts.point_coords)
        prompted = np.round(coords[:, 0, 0] * 16 / SIDE)
        return self.rows(np.where(by_points, prompted, things).astype(int))

    def discover_objects(self, model, features, answer, subjects, owner):
        self.frame = features
        found, points = [], np.zeros((len(subjects), 3, 2), np.float32)
        for i, slot in enumerate(subjects):
            found += self.finds(int(answer.obj_ptr[slot]), self.frame)
            points[i] = [[(k + 1) / 4, 0.5] for k in range(3)]
        return self.scene(self.rows([*answer.obj_ptr, *found]), points)

    def classify_pairs(self, sch, features, answer, owner):
        return self.scene(answer)

    def gather_rows(self, rows, source):
        if isinstance(rows, ScriptedBank):
            things, prompted = ([x[i] for i in source] for x in rows[:2])
            return ScriptedBank(tuple(things), tuple(prompted), rows.num_conditioning)
        return self.rows(rows.obj_ptr[source])

    def put_rows(self, whole, rows, where):
        if isinstance(whole, ScriptedBank):
            things, prompted = map(list, whole[:2])
            for i, thing, frames in zip(where, *rows[:2], strict=True):
                things[i], prompted[i] = thing, frames
            return ScriptedBank(tuple(things), tuple(prompted), whole.num_conditioning)
        logits, things = whole.mask_logits.copy(), np.array(whole.obj_ptr)
        logits[where], things[where] = rows.mask_logits, rows.obj_ptr
        return whole._replace(mask_logits=logits, obj_ptr=things)

    def spread_rows(self, rows, where, count):
        return self.put_rows(self.rows(np.full(count, NOTHING)), rows, where)

    def remember(self, sam2, bank, features, answer, frame, where, fresh):
        things, prompted = list(bank.things), list(bank.prompted)
        for slot in np.flatnonzero(where):
            things[slot] = int(answer.obj_ptr[slot])
            earlier = () if fresh[slot] else prompted[slot]
            prompted[slot] = (*earlier, int(frame))
            assert len(prompted[slot]) <= bank.num_conditioning
        return ScriptedBank(tuple(things), tuple(prompted), bank.num_conditioning)

    def empty_bank(self, config, n, k):
        return ScriptedBank((NOTHING,) * n, ((),) * n, k)

    def grow(self, bank, n, k):
        more = n - bank.num_objects
        return ScriptedBank(
            bank.things + (NOTHING,) * more, bank.prompted + ((),) * more, k
        )


def model(**changes) -> SimpleNamespace:
    """Return what `tracking` uses of a model: its configuration, with changes."""
    rules = dataclasses.replace(CONFIG.rules, **changes.pop("rules", {}))
    config = dataclasses.replace(CONFIG, rules=rules, **changes)
    return SimpleNamespace(config=config, sam2=None, didm=None, sch=None)


def frames(count: int):
    for i in range(count):
        yield Frame(i, i / 5, np.full((16, 16, 3), i, np.uint8))


def prompt(frame: int, object_id: int, thing: int) -> Prompt:
    return Prompt(frame, object_id, points=[[thing, 0]])


def resize(rgb: np.ndarray, size: int) -> np.ndarray:
    assert size == SIDE
    return rgb


def rectangle(y0: int, y1: int, x0: int, x1: int) -> np.ndarray:
    mask = np.zeros((16, 16), bool)
    mask[y0:y1, x0:x1] = True
    return mask


def column(thing: int, frame: int = 0) -> np.ndarray:
    """Return a mask in which each thing has its own column, so that none overlap."""
    return rectangle(0, 16, thing, thing + 1)


def track(world, prompts, count, monkeypatch, num_frames=None, **changes) -> list:
    """Track `count` frames of a world; `changes` are those of `model`."""
    world.install(monkeypatch)
    return list(
        track_video(model(**changes), frames(count), prompts, resize, num_frames)
    )


def step(tracker, state: TrackingState, features, prompts=()):
    """Track one frame; return the state after it and its result."""
    pending = tracking.begin_frame(tracker, state, features, prompts)
    output = tracking.finish_frame(tracker, pending)
    return output.after, tracking.frame_result(tracker, output)


def objects(result, subject: int = 0) -> list[int]:
    """Return the ids of the objects that a subject is related to."""
    return [t.object_id for t in result.subjects[subject].triplets]
