"""Stories with dogs and cats, and chases."""

import numpy as np

from . import hands, moves, poses
from .scene import World
from .stories import beside, chain, side_of, stand_close, watch_spot
from .things import Pose, Thing


def chase(w: World, hunter: Thing, prey: Thing):
    """The hunter chases the prey from side to side, watches it or plays with it."""
    while True:
        action = w.pick({"chase": 8, "look": 3, "close": 1, "play": 2})
        if w.inside(prey.x) != prey.x:  # out of the picture: run back in
            action = "chase"
        if action == "chase":
            yield from _run(w, hunter, prey)
        elif action == "look":
            spot = watch_spot(w, hunter, prey)
            yield from _other_waits(w, prey, moves.walk(w, hunter, spot))
            steps = moves.look(w, hunter, prey, w.randint(5, 10))
            yield from _other_waits(w, prey, steps)
        else:
            close = beside(w, hunter, prey, 5)
            yield from _other_waits(w, prey, moves.walk(w, hunter, close))
            frames = w.randint(5, 9)
            if action == "play" and not prey.person:
                yield from _tussle(w, hunter, prey, frames)
            else:
                yield from _other_waits(w, prey, moves.idle(w, hunter, frames))


def _other_waits(w: World, other: Thing, steps):
    """Run the steps of one figure while the other idles."""
    for _ in steps:
        other.pose = poses.idle_pose(w, other)
        yield


def _run(w: World, hunter: Thing, prey: Thing):
    """Run once across the picture."""
    # Run away from the hunter if there is room, else past it to the other side.
    side = poses.sign(prey.x - hunter.x)
    if (prey.x - w.width / 2) * side > 0.25 * w.width:
        side = -side
    out = 45.0 if w.chance(0.3) else -10.0
    goal = w.width - w.margin + out if side > 0 else w.margin - out
    speed = float(w.rng.uniform(11, 14))
    lead = float(w.rng.uniform(20, 34)) + 0.5 * (prey.size + hunter.size)
    lead = lead if not hunter.person else 48.0 + prey.half
    if (prey.x - hunter.x) * side < 0:  # the hunter waits while the prey passes
        while (prey.x - hunter.x) * side < 20:
            poses.advance(prey, side * speed)
            prey.pose = poses.gait(prey, True)
            hunter.facing = side
            hunter.pose = poses.STAND
            yield
    while abs(prey.x - goal) > 1:
        poses.advance(prey, float(np.clip(goal - prey.x, -speed, speed)))
        prey.pose = poses.gait(prey, True)
        gap = (prey.x - hunter.x) * side
        step = min(max(speed + 0.4 * (gap - lead), 0.0), speed + 5)
        poses.advance(hunter, side * step)
        hunter.facing = side
        hunter.pose = poses.gait(hunter, True)
        if gap > 0.6 * lead:
            w.relate(hunter, prey, "chasing")
        yield


def _tussle(w: World, a: Thing, pet: Thing, frames: int):
    """Play at close range: paw or hand at the pet, which jumps up."""
    for t in range(frames):
        a.facing, pet.facing = poses.sign(pet.x - a.x), poses.sign(a.x - pet.x)
        pet.pose = Pose(front=False, pitch=(58, 66, 34)[t % 3], tail=20 * (-1) ** t)
        top = (
            pet.x + pet.facing * 0.3 * pet.size,
            pet.y - (0.8, 1.0, 0.6)[t % 3] * pet.size,
        )
        if a.person:
            legs = ((70, 110), (50, 105))
            a.pose = Pose(front=False, lean=24, legs=legs, hands=(top, None), head=6)
        else:
            a.pose = Pose(front=False, pitch=(10, 24, 18)[t % 3], paw=top, tail=20)
        w.relate(a, pet, "playing with")
        yield


def animal_and_ball(w: World, a: Thing, ball: Thing):
    while True:
        action = w.pick({"chase": 4, "play": 5, "look": 3, "fetch": 3, "close": 1})
        if action == "look":
            yield from moves.walk(w, a, watch_spot(w, a, ball))
            yield from moves.look(w, a, ball, w.randint(5, 11))
        elif action == "close":
            yield from stand_close(w, a, ball, w.randint(5, 8))
        elif action == "fetch" and a.category == "dog":
            yield from moves.walk(w, a, ball.x + side_of(a, ball) * 0.55 * a.size)
            a.facing = poses.sign(ball.x - a.x)
            goal = w.inside(float(w.rng.uniform(0, w.width)))
            yield from moves.walk(w, a, goal, held=(ball,))
            hands.drop(w, a, ball)
            ball.layer = a.layer + 0.4
        elif action == "chase":
            side = poses.sign(w.width / 2 - ball.x)
            yield from moves.walk(w, a, ball.x - side * 0.7 * a.size)
            ball.speed = (side * float(w.rng.uniform(15, 20)), 4.0)
            while ball.speed is not None and abs(ball.speed[0]) > 2.5:
                gap = ball.x - a.x - poses.sign(ball.x - a.x) * 0.7 * a.size
                poses.advance(a, float(np.clip(gap, -13, 13)))
                a.pose = poses.gait(a, True)
                w.relate(a, ball, "chasing")
                yield
        else:
            yield from moves.walk(w, a, ball.x + side_of(a, ball) * 0.62 * a.size)
            yield from bat(w, a, ball, w.randint(7, 13))


def bat(w: World, a: Thing, ball: Thing, frames: int):
    """Bat the ball with a paw, chest low."""
    a.facing = poses.sign(ball.x - a.x)
    ball.free, ball.layer = False, a.layer + 0.6
    home = a.x + a.facing * (0.5 * a.size + 0.5 * ball.size)
    for t in range(frames):
        swing = (0.0, 7.0, 11.0, 5.0)[t % 4]
        ball.x = home + a.facing * swing
        ball.angle += 30 * (1 if t % 4 < 2 else -1)
        ball.z = (0.0, 3.0, 0.0, 0.0)[t % 4]
        up = (0.5, 0.7, 1.3, 0.9)[t % 4] * ball.size
        paw = (ball.x - a.facing * 0.4 * ball.size, ball.y - up)
        a.pose = Pose(front=False, pitch=-9, paw=paw, tail=30 * (-1) ** t, head=14)
        w.relate(a, ball, "playing with")
        yield
    ball.free, ball.z = True, 0.0


def person_and_pet(w: World, a: Thing, pet: Thing):
    """A person holds, carries, watches and plays with a cat or a dog."""
    held = False
    while True:
        if held:
            action = w.pick({"hold": 4, "carry": 4, "down": 2})
            if action == "hold":
                yield from hands.hold(w, a, (pet,), w.randint(6, 11))
            elif action == "carry":
                goal = w.inside(float(w.rng.uniform(0, w.width)))
                yield from moves.walk(w, a, goal, held=(pet,))
            else:
                yield from hands.put_down(w, a, pet, a.x + a.facing * 0.45 * a.size)
                held = False
            continue
        pick_up = 4 if pet.category == "cat" else 0
        action = w.pick({"look": 3, "pick": pick_up, "play": 4, "close": 2})
        if action == "look":
            steps = chain(
                moves.walk(w, a, watch_spot(w, a, pet)),
                moves.look(w, a, pet, w.randint(5, 11)),
            )
            yield from _other_waits(w, pet, steps)
        elif action == "close":
            yield from _other_waits(w, pet, stand_close(w, a, pet, w.randint(5, 9)))
        else:
            gap = 2 if action == "pick" else 10
            close = beside(w, a, pet, gap)
            yield from _other_waits(w, pet, moves.walk(w, a, close))
            if action == "play":
                yield from _tussle(w, a, pet, w.randint(7, 12))
            else:
                yield from _other_waits(w, pet, hands.pick_up(w, a, pet))
                held = True
