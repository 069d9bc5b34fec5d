"""A session without a model: shapes move, and their relations follow a script.

It has the methods of `c2g_jax.session.Session` that the page's server uses, and returns
the same dataclasses.
"""

import copy
import json
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np

from c2g_jax.media.rle import encode_mask
from c2g_jax.media.video import open_video
from c2g_jax.session.views import (
    FindUpdate,
    FrameView,
    ObjectSummary,
    ObjectView,
    PromptView,
    RelationSummary,
    RelationView,
    TrackUpdate,
    as_json,
)
from c2g_jax.tracking.scene_graph import GraphBuilder
from c2g_jax.tracking.spans import SpanConfig, merge_spans
from c2g_jax.types import InputError, SubjectFrame, Triplet, VideoInfo
from c2g_jax.vocabulary import load_vocabulary
from tests.web.drawn_clip import (
    FRAMES,
    HEIGHT,
    SCRIPT,
    SHAPES,
    WIDTH,
    shape_at,
    shape_mask,
)


class FakeModelHost:
    """Replaces `ModelHost`; a tracked frame takes `step` seconds.

    hold: an event that `warm_up` waits for.
    """

    def __init__(self, step: float = 0.0, hold: threading.Event | None = None):
        self.step, self.hold = step, hold
        self.vocabulary = load_vocabulary()
        self.opened = []

    weights = None

    def load(self, report=None):
        return None

    def warm_up(self, report):
        report("compiling the first click")
        if self.hold is not None:
            self.hold.wait(30)

    def warm_tracking(self, report):
        report("compiling tracking")

    def open(self, clip, saved):
        session = FakeSession(clip, saved, self.step)
        self.opened.append(session)
        return session


class FakeSession:
    as_json = staticmethod(as_json)
    spans = SpanConfig(2, 2, 0.2, 0.2)
    vocabulary, guesses = load_vocabulary(), "take"
    model = SimpleNamespace(config=SimpleNamespace(vocabulary=vocabulary))

    def __init__(self, clip, saved: Path, step: float):
        self.video = open_video(clip.folder, fps=clip.fps)
        self.video.name = clip.name
        self.saved, self.step = saved, step
        self.state = {"things": {}, "tracked": [], "fixes": [], "next": 1, "stale": []}
        self.done, self.undone = [], []
        self.tracking, self.stopped = False, threading.Event()
        self.closed = False
        self.prepared, self.encode = [], 0.0
        if saved.exists():
            memory = json.loads(saved.read_text())
            self.state, self.done, self.undone = memory

    # Names

    def likely_categories(self, subject_id=None):
        return list(self.vocabulary.objects)

    def likely_predicates(self, subject_id=None, object_id=None):
        return list(self.vocabulary.predicates)

    # Actions

    def click(self, frame, x, y, positive=True, object_id=None):
        if not (0 <= x < WIDTH and 0 <= y < HEIGHT):
            raise InputError(f"point {x:g},{y:g} lies outside the frame")
        prompt = {"kind": "point", "x": x, "y": y, "label": int(positive)}
        return self._prompt(frame, prompt, shape_at(x, y, frame), object_id)

    def box(self, frame, x1, y1, x2, y2, object_id=None):
        if x2 <= x1 or y2 <= y1:
            raise InputError("the box has no area")
        shape = shape_at((x1 + x2) / 2, (y1 + y2) / 2, frame)
        prompt = {"kind": "box", "box": [x1, y1, x2, y2]}
        return self._prompt(frame, prompt, shape, object_id)

    def add_object(self, subject_id, frame, x, y):
        self._begin(f"object of {subject_id}")
        prompt = {"kind": "point", "x": x, "y": y, "label": 1}
        thing = self._add(shape_at(x, y, frame), "object", [subject_id])
        thing["prompts"].setdefault(str(frame), []).append(prompt)
        self._end()
        return self.view(frame)

    def delete_prompt(self, frame, object_id, index):
        thing = self._thing(object_id)
        if not 0 <= index < len(thing["prompts"].get(str(frame), [])):
            raise InputError(f"object {object_id} has no prompt {index} there")
        self._begin("prompt taken back")
        thing = self._thing(object_id)
        del thing["prompts"][str(frame)][index]
        if not any(thing["prompts"].values()):
            del self.state["things"][str(object_id)]
        self._end()
        return self.view(frame)

    def remove(self, object_id):
        self._thing(object_id)
        self._begin(f"object {object_id} removed")
        del self.state["things"][str(object_id)]
        self._end()

    def rename(self, object_id, category, new=None):
        self._thing(object_id)
        if category is not None and category not in load_vocabulary().objects:
            raise InputError(f"unknown category {category!r}")
        self._begin(f"object {object_id} is {category}")
        self._thing(object_id)["said"] = category
        self._end()

    def set_predicate(self, subject_id, object_id, predicate, start=None, stop=None):
        if predicate is not None and predicate not in load_vocabulary().predicates:
            raise InputError(f"unknown predicate {predicate!r}")
        self._thing(subject_id), self._thing(object_id)
        self._begin(f"{subject_id} {predicate} {object_id}")
        first = 0 if start is None else start
        last = FRAMES - 1 if stop is None else stop
        fix = [subject_id, object_id, predicate, first, last]
        self.state["fixes"].append(fix)
        self._end()

    def track(self, start=None, stop=None, direction="forward"):
        if not self.state["things"]:
            raise InputError("no object is prompted: click on a subject first")
        first = 0 if start is None else start
        last = self.video.num_frames - 1 if stop is None else stop
        return self._track(range(first, last + 1))

    def _track(self, frames):
        self._begin(f"tracked {len(frames)} frames")
        self.tracking = True
        self.stopped.clear()
        try:
            for done, t in enumerate(frames, 1):
                if self.stopped.is_set():
                    return
                time.sleep(self.step)
                self._discover(t)
                self.state["tracked"] = sorted({*self.state["tracked"], t})
                self.state["stale"] = [s for s in self.state["stale"] if s != t]
                yield TrackUpdate(t, done, len(frames), self.view(t))
        finally:
            self.tracking = False
            self._end()

    def finding(self):
        return self._find()

    def _find(self):
        before = copy.deepcopy(self.state)
        self.tracking = True
        self.stopped.clear()
        try:
            for t in range(self.video.num_frames):
                if self.stopped.is_set():
                    return
                time.sleep(self.step)
                yield FindUpdate(t + 1, self.video.num_frames)
            known = [t["shape"] for t in self.state["things"].values()]
            for shape in [shape for shape in SHAPES if shape not in known]:
                self._add(shape, "subject", [])["prompts"]["0"] = [{"kind": "mask"}]
            self.done.append(["everything found", before])
        finally:
            self.tracking = False
            self._end()

    def cancel(self):
        self.stopped.set()

    can_undo = property(lambda self: bool(self.done) and not self.tracking)
    can_redo = property(lambda self: bool(self.undone) and not self.tracking)

    def undo(self):
        return self._turn(self.done, self.undone, "undo")

    def redo(self):
        return self._turn(self.undone, self.done, "redo")

    def close(self):
        self.closed = True

    def save(self, path):
        path.write_text(json.dumps([self.state, self.done, self.undone]))

    def prepare(self, frame):
        time.sleep(self.encode)
        self.prepared.append(frame)

    # Views

    def view(self, frame):
        objects, shown = [], {}
        for key, thing in self.state["things"].items():
            prompts = thing["prompts"].get(str(frame), [])
            seen = frame in self.state["tracked"] or bool(prompts)
            if prompts or (seen and self._met(thing, frame)):
                shown[thing["shape"]] = int(key)
            objects.append(
                ObjectView(
                    *self._named(key),
                    encode_mask(shape_mask(thing["shape"], frame))
                    if thing["shape"] in shown
                    else None,
                    tuple(PromptView(**p) for p in prompts),
                )
            )
        tracked = frame in self.state["tracked"]
        relations = self._relations(frame, shown) if tracked else ()
        stale = frame in self.state["stale"]
        return FrameView(frame, tuple(objects), relations, tracked, stale)

    def objects(self, threshold=None):
        lanes = {}
        for t in range(self.video.num_frames):
            for o in self.view(t).objects:
                lanes.setdefault(o.object_id, []).extend([t] if o.rle else [])
        return [
            ObjectSummary(
                *self._named(key),
                merge_spans(lanes.get(int(key), [])),
                tuple(int(t) for t, said in thing["prompts"].items() if said),
            )
            for key, thing in self.state["things"].items()
        ]

    def relations(self, threshold=None):
        fixed = {tuple(f[:3]) for f in self.state["fixes"]}
        return [
            RelationSummary(
                r.subject_id,
                r.object_id,
                r.predicate,
                r.spans,
                r.score,
                (r.subject_id, r.object_id, r.predicate) in fixed,
            )
            for r in self.graph(threshold).relations
        ]

    def tracked_frames(self):
        return list(self.state["tracked"])

    def stale_frames(self):
        return list(self.state["stale"])

    def graph(self, threshold=None):
        spans = self.spans.at_least(threshold)
        builder = GraphBuilder(encode_mask, spans)
        for t in self.state["tracked"]:
            view = self.view(t)
            names = {o.object_id: o.category for o in view.objects}
            prompted_by = {
                o.object_id: (o.subject_ids or (None,))[0] for o in view.objects
            }
            masks = {o.object_id: o.rle for o in view.objects if o.rle}
            subjects = [
                SubjectFrame(
                    t,
                    subject,
                    np.zeros((0, 2), np.float32),
                    tuple(
                        Triplet(
                            r.object_id,
                            names[subject],
                            names[r.object_id],
                            r.predicate,
                            r.confidence,
                        )
                        for r in view.relations
                        if r.subject_id == subject
                    ),
                )
                for subject in sorted({r.subject_id for r in view.relations})
            ]
            builder.add_encoded(t, masks, subjects, prompted_by)
        v = self.video
        info = VideoInfo(v.name, v.width, v.height, v.fps, v.times)
        return builder.build(info, {"program": "fake"})

    # Private

    def _named(self, key):
        """Return id, role, subjects, category, whether the user set it, and score."""
        thing = self.state["things"][key]
        said = thing["said"]
        return (
            int(key),
            thing["role"],
            tuple(thing["subjects"]),
            said or self._guess(thing),
            said is not None,
            1.0 if said else 0.7,
        )

    def _guess(self, thing):
        # One category is wrong, as something to correct.
        return "cat" if thing["shape"] == "dog" else thing["shape"]

    def _met(self, thing, frame):
        return thing["role"] == "subject" or any(
            SHAPES.get(thing["shape"]) and first <= frame <= last
            for _, o, _, first, last, _ in SCRIPT
            if o == thing["shape"]
        )

    def _relations(self, frame, shown):
        found = []
        for s, o, predicate, first, last, confidence in SCRIPT:
            if first <= frame <= last and s in shown and o in shown:
                ids, fixed = (shown[s], shown[o]), False
                for *pair, said, begin, end in self.state["fixes"]:
                    if tuple(pair) == ids and begin <= frame <= end:
                        predicate, confidence, fixed = said, 1.0, True
                if predicate is not None:
                    found.append(RelationView(*ids, predicate, confidence, fixed))
        return tuple(sorted(found, key=lambda r: -r.confidence))

    def _discover(self, frame):
        things = self.state["things"]
        for s, o, _, first, last, _ in SCRIPT:
            subjects = [int(k) for k, t in things.items() if t["shape"] == s]
            if subjects and first <= frame <= last:
                known = [t for t in things.values() if t["shape"] == o]
                if not known:
                    self._add(o, "object", subjects)
                elif subjects[0] not in known[0]["subjects"]:
                    known[0]["subjects"].append(subjects[0])

    def _prompt(self, frame, prompt, shape, object_id):
        if object_id is not None:
            self._thing(object_id)
        self._begin(f"{prompt['kind']} on frame {frame}")
        if object_id is None:
            thing = self._add(shape, "subject", [])
        else:
            thing = self._thing(object_id)
        thing["prompts"].setdefault(str(frame), []).append(prompt)
        self.state["stale"] = list(self.state["tracked"])
        self._end()
        return self.view(frame)

    def _add(self, shape, role, subjects):
        thing = dict(shape=shape, role=role, subjects=subjects, prompts={}, said=None)
        self.state["things"][str(self.state["next"])] = thing
        self.state["next"] += 1
        return thing

    def _thing(self, object_id):
        thing = self.state["things"].get(str(object_id))
        if thing is None:
            raise InputError(
                f"there is no object {object_id}: choose one that is shown"
            )
        return thing

    def _begin(self, what):
        if self.tracking:
            raise InputError("the video is being tracked: cancel that, or wait for it")
        self.done.append([what, copy.deepcopy(self.state)])
        self.undone.clear()

    def _turn(self, source, target, word):
        if not source:
            raise InputError(f"there is nothing to {word}")
        what, state = source.pop()
        target.append([what, self.state])
        self.state = state
        self._end()
        return what

    def _end(self):
        self.saved.write_text(json.dumps([self.state, self.done, self.undone]))
