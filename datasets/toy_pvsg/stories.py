"""Stories: state machines of what a group of things does in a video.

A story is an endless generator that yields once per frame and moves the things it was
started with. This file: people with small things, bystanders and passers-by.
"""

from . import hands, moves, poses
from .scene import World
from .things import Pose, Thing


def chain(*parts):
    """Run generators one after the other."""
    for part in parts:
        yield from part


def side_of(a: Thing, thing: Thing) -> int:
    """Return the side of a thing on which a figure is: 1 right, -1 left."""
    return poses.sign(a.x - thing.x)


def beside(w: World, a: Thing, thing: Thing, gap: float) -> float:
    """Return x beside a thing: on the nearer side, unless that is out of view."""
    side = side_of(a, thing)
    x = thing.x + side * (thing.half + a.half + gap)
    if w.inside(x) != x:
        x = thing.x - side * (thing.half + a.half + gap)
    return float(x)


def watch_spot(w: World, a: Thing, thing: Thing) -> float:
    """Return x at some distance from a thing, to look at it from."""
    far = float(w.rng.uniform(26, 52))
    return w.inside(beside(w, a, thing, far))


def stand_close(w: World, a: Thing, thing: Thing, frames: int):
    """Idle close to a thing; 'next to' follows from the positions."""
    yield from moves.walk(w, a, beside(w, a, thing, 3))
    yield from moves.idle(w, a, frames)


def person_and_ball(w: World, a: Thing, ball: Thing):
    held = False
    while True:
        if held:
            action = w.pick({"hold": 2, "carry": 2, "throw": 9, "down": 1})
            if action == "hold":
                yield from hands.hold(w, a, (ball,), w.randint(5, 11))
            elif action == "carry":
                goal = w.inside(float(w.rng.uniform(0, w.width)))
                yield from moves.walk(w, a, goal, held=(ball,))
            elif action == "throw":
                a.facing = poses.sign(w.width / 2 - a.x)
                yield from hands.throw(w, a, ball, float(w.rng.uniform(11, 17)))
                held = False
                yield from _wait_for_ball(w, a, ball)
            else:
                yield from hands.put_down(w, a, ball, a.x + a.facing * 0.3 * a.size)
                held = False
            continue
        action = w.pick({"kick": 8, "look": 2, "pick": 9, "play": 2, "close": 1})
        if action == "look":
            yield from moves.walk(w, a, watch_spot(w, a, ball))
            yield from moves.look(w, a, ball, w.randint(5, 11))
        elif action == "close":
            yield from stand_close(w, a, ball, w.randint(5, 9))
        elif action == "kick":
            side = poses.sign(w.width / 2 - ball.x)  # the side with more room
            for _ in range(w.randint(1, 3)):  # run after the ball and kick again
                spot = ball.x - side * 0.34 * a.size
                yield from moves.walk(w, a, spot, run=abs(spot - a.x) > 60)
                a.facing = side
                yield from moves.kick(w, a, ball, float(w.rng.uniform(11, 18)))
                yield from _wait_for_ball(w, a, ball)
                side = poses.sign(w.width / 2 - ball.x)
        else:
            yield from moves.walk(w, a, ball.x + side_of(a, ball) * 0.3 * a.size)
            yield from hands.pick_up(w, a, ball)
            held = action == "pick"
            if not held:
                yield from dribble(w, a, ball, w.randint(7, 13))


def _wait_for_ball(w: World, a: Thing, ball: Thing):
    """Wait up to 9 frames until the ball lies still."""
    for _ in range(9):
        if ball.speed is None:
            return
        a.pose = poses.STAND
        yield


def dribble(w: World, a: Thing, ball: Thing, frames: int):
    """Bounce the ball under the hand."""
    high = 0.3 * a.size
    for t in range(frames):
        ball.free, ball.speed = False, None
        ball.x, ball.layer = a.x + a.facing * 0.27 * a.size, a.layer + 0.6
        ball.z = high * (1.0, 0.65, 0.0, 0.65)[t % 4]
        hand = (ball.x, a.y - max(ball.z, 0.72 * high) - ball.size)
        legs = ((24, 36), (-4, 30))
        a.pose = Pose(front=False, lean=20, legs=legs, hands=(hand, None), head=12)
        w.relate(a, ball, "playing with")
        yield
    ball.free, ball.z = True, 0.0


def person_and_cup(w: World, a: Thing, cup: Thing):
    held = False
    while True:
        if held:
            action = w.pick({"hold": 4, "carry": 4, "down": 2})
            if action == "hold":
                yield from hands.hold(w, a, (cup,), w.randint(6, 13))
            elif action == "carry":
                goal = w.inside(float(w.rng.uniform(0, w.width)))
                yield from moves.walk(w, a, goal, held=(cup,))
            else:
                yield from hands.put_down(w, a, cup, a.x + a.facing * 0.3 * a.size)
                held = False
            continue
        action = w.pick({"look": 3, "pick": 5, "close": 2})
        if action == "look":
            yield from moves.walk(w, a, watch_spot(w, a, cup))
            yield from moves.look(w, a, cup, w.randint(5, 11))
        elif action == "close":
            yield from stand_close(w, a, cup, w.randint(5, 9))
        else:
            yield from moves.walk(w, a, cup.x + side_of(a, cup) * 0.3 * a.size)
            yield from hands.pick_up(w, a, cup)
            held = True


def person_and_two(w: World, a: Thing, first: Thing, second: Thing):
    """Carry two things at once; put one down and pick it up again."""
    held = (first, second)
    while True:
        action = w.pick({"hold": 3, "carry": 5, "swap": 2})
        if action == "hold":
            yield from hands.hold(w, a, held, w.randint(5, 10))
        elif action == "carry":
            goal = w.inside(float(w.rng.uniform(0, w.width)))
            yield from moves.walk(w, a, goal, held=held)
        elif len(held) == 2:
            hands.drop(w, a, second)
            second.x = a.x + a.facing * 0.3 * a.size
            held = (first,)
            yield from hands.hold(w, a, held, w.randint(3, 5))
        else:
            x = second.x + side_of(a, second) * 0.3 * a.size
            yield from moves.walk(w, a, x, held=held)
            held = (first, second)


def passer_by(w: World, a: Thing, held: tuple = ()):
    """Cross the picture, leave it, wait outside and come back."""
    while True:
        side = poses.sign(w.width / 2 - a.x)
        goal = w.width + 40.0 if side > 0 else -40.0
        yield from moves.walk(w, a, goal, held=held)
        for _ in range(w.randint(3, 8)):
            if held:
                hands.attach(w, a, held)
            yield


def errand(w: World, a: Thing, item: Thing):
    """Carry something through the picture, out of it and back."""
    hands.attach(w, a, (item,))
    yield from passer_by(w, a, (item,))


def bystander(w: World, a: Thing):
    """Idle or sit without relations; now and then walk to another place."""
    while True:
        if a.person and w.chance(0.35):
            yield from moves.sit_down(w, a, w.randint(12, 30))
        else:
            yield from moves.idle(w, a, w.randint(12, 40))
        if w.chance(0.5):
            goal = w.inside(a.x + float(w.rng.uniform(-60, 60)))
            yield from moves.walk(w, a, goal)
