"""Actions of the hands: pick up, hold, put down, throw. Dogs use their mouth.

Actions are generators: each step poses the figures, records relations and yields once
per frame.
"""

from . import animals
from .people import reach, shoulder
from .poses import bent, sign
from .scene import World
from .things import Pose, Thing


def attach(w: World, a: Thing, items: tuple, raised: float = 0.0) -> None:
    """Place held items at the hands (or the mouth) of a figure, and pose the hands."""
    hands = [None, None]
    for k, item in enumerate(items):
        item.free, item.speed = False, None
        item.layer = a.layer + (0.3 if k == 0 else 0.32)
        item.y = a.y
        if not a.person:
            snout = animals.mouth(a)
            item.x = snout[0] + a.facing * 0.2 * item.size
            item.z = a.y - snout[1] - 0.6 * item.size
            continue
        start = shoulder(a)
        forward = (0.62 if k == 0 else -0.42) * reach(a)  # the second is behind
        if item.alive:
            forward *= 0.75
            item.facing, item.pose = a.facing, Pose(front=False, crouch=0.5)
        item.x = start[0] + a.facing * forward
        low = 0.42 - 0.5 * raised if k == 0 else 0.7
        item.z = a.y - start[1] - low * reach(a) - 0.5 * item.size * (not item.alive)
        hands[k] = (
            item.x - a.facing * 0.25 * item.size,
            a.y - item.z - 0.4 * item.size,
        )
    if a.person:
        a.pose = a.pose.but(hands=tuple(hands))


def drop(w: World, a: Thing, item: Thing) -> None:
    """Release an item onto the ground."""
    item.free, item.z = True, 0.0
    item.layer = a.layer + 0.4
    if item.alive:
        item.pose = Pose(front=False)


def hold(w: World, a: Thing, held: tuple, frames: int):
    """Stand still with the held items; a cup may be raised to the mouth."""
    sips = w.chance(0.6) and held[0].category == "cup"
    for t in range(frames):
        a.pose = Pose(front=False)
        attach(w, a, held, raised=0.75 if sips and t % 6 in (2, 3, 4) else 0.0)
        for item in held:
            w.relate(a, item, "holding")
        yield


def pick_up(w: World, a: Thing, item: Thing):
    """Bend down and lift an item; it is held from the last frame on."""
    a.facing = sign(item.x - a.x)
    for lean in (28, 62):
        a.pose = bent(a, lean, item)
        yield
    a.pose = Pose(front=False, lean=24)
    attach(w, a, (item,))
    w.relate(a, item, "holding")
    yield


def put_down(w: World, a: Thing, item: Thing, place: float):
    """Bend down and lay an item on the ground at x = place."""
    a.pose = Pose(front=False, lean=30)
    attach(w, a, (item,))
    w.relate(a, item, "holding")
    yield
    drop(w, a, item)
    item.x = place
    a.pose = bent(a, 55, item)
    yield


def throw(w: World, a: Thing, ball: Thing, strength: float):
    """Draw the ball back behind the head and throw it."""
    for turn in (-0.35, -0.6, -0.6):
        a.pose = Pose(front=False, lean=-10, legs=((20, 8), (-16, 6)))
        head = shoulder(a)
        hand = head + (a.facing * turn * reach(a), -0.75 * reach(a))
        ball.free, ball.speed, ball.layer = False, None, a.layer + 0.3
        ball.x, ball.z = hand[0], a.y - hand[1] - 0.4 * ball.size
        a.pose = a.pose.but(hands=(tuple(hand), None))
        w.relate(a, ball, "throwing")
        yield
    ball.x += a.facing * reach(a)
    ball.free, ball.speed = True, (a.facing * strength, float(w.rng.uniform(3, 8)))
    for arm in (112, 88, 72, 60, 50):
        a.pose = Pose(
            front=False, lean=20, legs=((28, 10), (-22, 10)), arms=((arm, 4), (-30, 10))
        )
        w.relate(a, ball, "throwing")
        yield
