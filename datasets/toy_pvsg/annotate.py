"""Build a video's pvsg.json entry: relation spans, captions, questions, summary."""

from .scene import World

_CLOSE = 15.0  # maximum gap of "next to", in world units
_SHORTEST = 3  # minimum length of a span, in frames


class Closeness:
    """Record which things are next to each other and which people are on the ground.

    pairs: {(subject, object): frames}; on_ground: {(thing, predicate): frames}. Things
    are indices into World.things.
    """

    def __init__(self, world: World):
        self.world = world
        self.pairs: dict[tuple[int, int], set[int]] = {}
        self.on_ground: dict[tuple[int, str], set[int]] = {}

    def observe(self) -> None:
        """Record the current frame of the world."""
        w = self.world
        related_pairs = {
            pair[:2] for pair, when in w.relations.items() if w.frame in when
        }
        related = {i for pair in related_pairs for i in pair}
        for i, a in enumerate(w.things):
            if not a.alive or a.still < 2:
                continue
            if i not in related and a.z == 0 and a.person:
                sits = a.pose.seat is not None
                if sits or a.pose.front:
                    key = (i, "sitting on" if sits else "standing on")
                    self.on_ground.setdefault(key, set()).add(w.frame)
            for j, b in enumerate(w.things):
                if (
                    i == j
                    or b.still < 2
                    or (i, j) in related_pairs
                    or (j, i) in related_pairs
                ):
                    continue
                if a.z > 0 or b.z > 0:
                    continue
                gap = abs(a.x - b.x) - a.half - b.half
                if abs(a.y - b.y) < 12 and -6 < gap < _CLOSE:
                    self.pairs.setdefault((i, j), set()).add(w.frame)

    def finish(self) -> None:
        """Add the recorded 'next to' relations to the world."""
        for (i, j), when in sorted(self.pairs.items()):
            self.world.relations[i, j, "next to"] = when


def spans(frames: set[int]) -> list[list[int]]:
    """Return the inclusive spans of a set of frames.

    A gap of one frame does not end a span; spans shorter than _SHORTEST are dropped.
    """
    found: list[list[int]] = []
    for t in sorted(frames):
        if found and t - found[-1][1] <= 2:
            found[-1][1] = t
        else:
            found.append([t, t])
    return [s for s in found if s[1] - s[0] + 1 >= _SHORTEST]


def record(world: World, background) -> dict:
    """Return the objects, relations and texts of a video in the form of pvsg.json."""
    first = len(background.names) + 1  # object_id of the first thing
    names = background.names + [t.category for t in world.things]
    objects = [
        {"object_id": k + 1, "category": name, "is_thing": k + 1 >= first, "status": []}
        for k, name in enumerate(names)
    ]
    relations = []
    for (i, j, predicate), when in sorted(world.relations.items()):
        found = spans(when)
        if found:
            relations.append([i + first, j + first, predicate, found])
    return {
        "objects": objects,
        "relations": relations,
        **_words(world, relations, names),
    }


def with_ground(world: World, closeness: Closeness, background, record: dict) -> None:
    """Add relations to the ground for people who only stand or sit.

    Each is added with probability 0.55: real annotations are incomplete too, and
    relations to stuff should not dominate the metrics.
    """
    if background.ground is None:
        return
    first = len(background.names) + 1
    for (i, predicate), when in sorted(closeness.on_ground.items()):
        found = spans(when)
        if found and world.chance(0.55):
            record["relations"].append([i + first, background.ground, predicate, found])


def _words(world: World, relations: list, names: list[str]) -> dict:
    def mention(object_id: int) -> str:
        return f"{names[object_id - 1]} ({object_id})"

    events = []
    for subject, target, predicate, found in relations:
        for start, end in found:
            events.append((start, end, subject, predicate, target))
    events.sort()
    captions = [
        {
            "time": f"{start:04d}-{end:04d}",
            "description": f"The {mention(s)} is {p} the {mention(o)}.".replace(
                "is next to", "stands next to"
            ),
        }
        for start, end, s, p, o in events
    ]
    questions = [
        {
            "time": f"{start:04d}",
            "question": f"What is the {mention(s)} doing?",
            "answer": f"It is {p} the {mention(o)}.",
        }
        for start, end, s, p, o in events[:3]
    ]
    kinds = sorted({t.category for t in world.things})
    predicates = sorted({p for _, _, _, p, _ in events}) or ["nothing much"]
    summary = f"A drawn scene with {', '.join(kinds)}: {', '.join(predicates)}."
    return {"captions": captions, "qa_pairs": questions, "summary": summary}
