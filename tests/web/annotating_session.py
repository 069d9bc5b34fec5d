"""A session without a model that a person annotates: the script is only suggested."""

from dataclasses import replace as replaced

import numpy as np

from c2g_jax.media.rle import encode_mask
from c2g_jax.session.strokes import paint
from c2g_jax.session.views import SUGGESTED, RelationSummary
from c2g_jax.tracking.spans import merge_spans
from c2g_jax.types import InputError
from c2g_jax.vocabulary import load_vocabulary
from tests.web.drawn_clip import FRAMES, HEIGHT, WIDTH, shape_mask
from tests.web.fake_session import FakeModelHost, FakeSession


class AnnotatingHost(FakeModelHost):
    """Opens `AnnotatingSession`s."""

    def open(self, clip, saved):
        session = AnnotatingSession(clip, saved, self.step)
        self.opened.append(session)
        return session


class AnnotatingSession(FakeSession):
    """What the script says is suggested; what a person says is kept in `drawn`."""

    guesses = "suggest"

    def __init__(self, clip, saved, step):
        super().__init__(clip, saved, step)
        for name in ("drawn", "dismissed", "accepted", "painted", "names"):
            self.state.setdefault(name, [])
        self.state.setdefault("presence", {})

    # Names

    def likely_categories(self, subject_id=None):
        likely = {"adult": ["mat"]}  # by the category of the subject
        names = [*self.state["names"], *super().likely_categories()]
        if subject_id is None:
            return names
        first = likely.get(self._thing(subject_id)["shape"], [])
        return [*first, *(name for name in names if name not in first)]

    def rename(self, object_id, category, new=None):
        if new is None and category not in self.state["names"]:
            return super().rename(object_id, category)
        self._begin(f"object {object_id} is {category}")
        self.state["names"].insert(0, category)
        self._thing(object_id)["said"] = category
        self._end()

    def set_vocabulary(self, own):
        self._begin("names")
        self.vocabulary = own or load_vocabulary()
        self._end()

    def import_annotations(self, path, masks=None, video_id=None):
        if path.read_text() != "{}":
            raise InputError(f"{path.name}: no annotations: give scene_graph.json")
        self._begin("import")
        self._add("dog", "subject", [])
        self._end()
        return 1

    # Relations and spans

    def relate(self, subject_id, object_id, predicate, spans=None, new=False):
        lanes = {o.object_id: o.lanes for o in self.objects()}
        seen = [
            {t for a, b in lanes[i] for t in range(a, b + 1)}
            for i in (subject_id, object_id)
        ]
        both = sorted(seen[0] & seen[1]) if self.state["tracked"] else []
        spans = spans or merge_spans(both) or [(0, FRAMES - 1)]
        self._draw((subject_id, object_id, predicate), spans, "related")

    def unrelate(self, subject_id, object_id, predicate):
        self._draw((subject_id, object_id, predicate), [], "not related")

    def set_spans(self, lane, spans):
        if isinstance(lane, int):
            self._begin(f"spans of {lane}")
            self.state["presence"][str(lane)] = [list(s) for s in spans]
            return self._end()
        return self._draw(tuple(lane), spans, "spans")

    def _draw(self, triple, spans, what):
        self._thing(triple[0]), self._thing(triple[1])
        self._begin(what)
        for name in ("drawn", "dismissed"):
            self.state[name] = [r for r in self.state[name] if r[:3] != list(triple)]
        if spans:
            self.state["drawn"].append([*triple, [list(s) for s in spans]])
            self.state["accepted"] += triple[:2]
        else:
            self.state["dismissed"].append(list(triple))
        self._end()

    # Suggestions

    def accept(self, lane, threshold=None):
        if isinstance(lane, int):
            self._begin(f"object {lane} accepted")
            self.state["accepted"].append(lane)
            return self._end()
        (found,) = [r for r in self.relations(threshold) if _triple(r) == tuple(lane)]
        return self._draw(tuple(lane), found.spans, "accepted")

    def accept_above(self, confidence):
        found = [r for r in self.relations(confidence) if r.state == SUGGESTED]
        for r in found:
            self._draw(_triple(r), r.spans, "accepted")
        return len(found)

    def dismiss(self, lane):
        self.remove(lane) if isinstance(lane, int) else self.unrelate(*lane)

    # Identity and masks

    def object_at(self, frame, x, y):
        for o in self.view(frame).objects:
            thing = self.state["things"][str(o.object_id)]
            if o.rle and shape_mask(thing["shape"], frame)[int(y), int(x)]:
                return o.object_id
        return None

    def merge(self, object_id, same_as):
        self._thing(object_id), self._thing(same_as)
        self._begin(f"{object_id} is {same_as}")
        del self.state["things"][str(object_id)]
        self._end()

    def cut(self, object_id, frame):
        thing = self._thing(object_id)
        self._begin(f"{object_id} is cut")
        new = self.state["next"]
        self._add(thing["shape"], thing["role"], thing["subjects"])
        self.state["accepted"].append(new)
        self.state["presence"][str(object_id)] = [[0, frame - 1]]
        self.state["presence"][str(new)] = [[frame, FRAMES - 1]]
        self._end()
        return new

    def promote(self, object_id, frame=None):
        self._thing(object_id)
        self._begin(f"{object_id} is a subject")
        self._thing(object_id)["role"] = "subject"
        self._end()

    def remove(self, object_id):
        ids = object_id if isinstance(object_id, list) else [object_id]
        for i in ids:
            self._thing(i)
        self._begin("removed")
        for i in ids:
            del self.state["things"][str(i)]
        self._end()

    def brush(self, frame, points, radius, erase=False, object_id=None):
        if not paint(np.zeros((HEIGHT, WIDTH), bool), points, radius, True).any():
            raise InputError("nothing of the mask would be left")
        self._begin("stroke")
        if object_id is None:
            object_id = self.state["next"]
            self._add("ball", "subject", [])
        self._thing(object_id)["prompts"].setdefault(str(frame), [])
        self.state["painted"].append([object_id, frame, points, radius, erase])
        self._end()

    # Views

    def view(self, frame):
        view = super().view(frame)
        objects = []
        for o in view.objects:
            mask = None if o.rle is None else self._mask(o, frame)
            objects.append(
                replaced(
                    o,
                    state=self._state(o.object_id),
                    rle=None if mask is None else encode_mask(mask),
                )
            )
        accepted = {tuple(r[:3]) for r in self.state["drawn"]}
        relations = [
            r if r.fixed or _triple(r) in accepted else replaced(r, state=SUGGESTED)
            for r in view.relations
        ]
        return replaced(view, objects=tuple(objects), relations=tuple(relations))

    def _mask(self, o, frame):
        thing = self.state["things"][str(o.object_id)]
        mask = shape_mask(thing["shape"], frame)
        for i, t, points, radius, erase in self.state["painted"]:
            if (i, t) == (o.object_id, frame):
                mask = paint(mask, points, radius, not erase)
        spans = self.state["presence"].get(str(o.object_id), [[0, FRAMES]])
        return mask if any(a <= frame <= b for a, b in spans) else None

    def _state(self, object_id):
        thing = self.state["things"][str(object_id)]
        own = thing["role"] == "subject" or any(thing["prompts"].values())
        return "accepted" if own or object_id in self.state["accepted"] else SUGGESTED

    def objects(self, threshold=None):
        return [replaced(o, state=self._state(o.object_id)) for o in super().objects()]

    def relations(self, threshold=None):
        alive = {int(key) for key in self.state["things"]}
        mine = [
            RelationSummary(*r[:3], tuple(map(tuple, r[3])), 1.0, True)
            for r in self.state["drawn"]
            if set(r[:2]) <= alive
        ]
        said = [r[:3] for r in self.state["drawn"] + self.state["dismissed"]]
        others = [
            replaced(r, state="accepted" if r.fixed else SUGGESTED)
            for r in super().relations(threshold)
            if list(_triple(r)) not in said
        ]
        return [*mine, *others]


def _triple(r):
    return r.subject_id, r.object_id, r.predicate
