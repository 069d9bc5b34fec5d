"""Choose the things of a video, their starting positions and their stories."""

import numpy as np

from . import goods_stories, pet_stories, stories, things
from .scene import World
from .things import Thing

# {story: (weight, groups of classes)}; one class is sampled from each group.
_STORIES = {
    "ball": (9, (("adult", "child"), ("ball",))),
    "cup": (2, (("adult", "child"), ("cup",))),
    "bike": (4, (("adult", "child"), ("bike",))),
    "cart": (2, (("adult", "child"), ("cart",))),
    "cart_ride": (1, (("adult",), ("cart",), ("child", "cat", "dog"))),
    "sofa": (2, (("adult", "child", "cat"), ("sofa",))),
    "sofa_cup": (2, (("adult",), ("sofa",), ("cup", "ball"))),
    "sofa_pet": (1, (("adult", "child"), ("sofa",), ("cat", "dog"))),
    "sofa_all": (2, (("adult", "child"), ("sofa",), ("cup", "ball"), ("cat", "dog"))),
    "two": (1, (("adult", "child"), ("cup", "ball"), ("ball", "cup"))),
    "errand": (1, (("adult", "child"), ("cup", "ball"))),
    "chase": (5, (("dog", "child"), ("cat", "dog", "child"))),
    "chase_people": (2, (("adult", "dog"), ("child",))),
    "animal_ball": (3, (("dog", "cat"), ("ball",))),
    "pet": (3, (("adult", "child"), ("cat", "cat", "dog"))),
}
_GENERATORS = {
    "ball": stories.person_and_ball,
    "cup": stories.person_and_cup,
    "bike": goods_stories.person_and_bike,
    "cart": goods_stories.person_and_cart,
    "cart_ride": goods_stories.person_and_cart,
    "sofa": goods_stories.someone_and_sofa,
    "sofa_cup": goods_stories.someone_and_sofa,
    "sofa_pet": goods_stories.someone_and_sofa,
    "sofa_all": goods_stories.someone_and_sofa,
    "two": stories.person_and_two,
    "errand": stories.errand,
    "chase": pet_stories.chase,
    "chase_people": pet_stories.chase,
    "animal_ball": pet_stories.animal_and_ball,
    "pet": pet_stories.person_and_pet,
}
_LANES = (172.0, 186.0, 200.0, 214.0, 228.0, 242.0)  # y of the feet, far to near


def cast(w: World) -> None:
    """Add 2 to 6 things to the world and start their stories."""
    lanes = list(w.rng.permutation(_LANES))
    num_stories = 1 + w.chance(0.6)
    for _ in range(num_stories):
        name = w.pick({k: v[0] for k, v in _STORIES.items()})
        if len(w.things) + len(_STORIES[name][1]) <= 6:
            _start_story(w, name, float(lanes.pop()))
    most = 6 - len(w.things)
    num_extras = min(most, w.randint(1 if num_stories == 1 else 0, 3))
    for _ in range(num_extras):
        _add_distractor(w, float(lanes.pop()))


def _start_story(w: World, name: str, lane: float) -> None:
    group = []
    for classes in _STORIES[name][1]:
        thing = things.create(w.rng, classes[int(w.rng.integers(len(classes)))])
        thing.y = lane
        thing.x = w.inside(float(w.rng.uniform(0.1, 0.9)) * w.width, thing.half)
        thing.facing = 1 if w.chance(0.5) else -1
        group.append(w.add(thing))
    lead = group[0]
    for k, thing in enumerate(group[1:]):
        thing.layer = 0.6 if thing.category in ("ball", "cup", "dog", "cat") else -0.7
        for _ in range(20):  # resample until apart, if the picture is wide enough
            if abs(thing.x - lead.x) > 30 + 25 * k:
                break
            thing.x = w.inside(float(w.rng.uniform(0.05, 0.95)) * w.width, thing.half)
    w.stories.append(_GENERATORS[name](w, *group))
    if name in ("sofa_pet", "sofa_all"):
        w.stories.append(stories.bystander(w, group[-1]))


def _add_distractor(w: World, lane: float) -> None:
    """Add a thing without relations, mostly of a class that the stories use as well."""
    if w.chance(0.65):
        category = w.things[int(w.rng.integers(len(w.things)))].category
    else:
        category = list(things.SIZES)[int(w.rng.integers(len(things.SIZES)))]
    thing = things.create(w.rng, category)
    thing.y = lane
    thing.facing = 1 if w.chance(0.5) else -1
    thing.x = _free_place(w, thing)
    w.add(thing)
    if thing.alive and w.chance(0.4):
        outside = -40.0 if w.chance(0.5) else w.width + 40.0
        thing.x = outside if w.chance(0.5) else thing.x
        w.stories.append(stories.passer_by(w, thing))
    elif thing.alive:
        w.stories.append(stories.bystander(w, thing))


def _free_place(w: World, thing: Thing) -> float:
    """Return, of six random positions, the one farthest from all other things."""
    tried = [w.inside(float(w.rng.uniform(0, w.width))) for _ in range(6)]
    gaps = [min(abs(x - other.x) for other in w.things) for x in tried]
    return tried[int(np.argmax(gaps))]
