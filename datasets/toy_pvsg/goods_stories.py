"""Stories of people with bikes, carts and sofas."""

from . import goods, hands, moves, poses, seats
from .scene import World
from .stories import beside, chain, stand_close, watch_spot
from .things import Thing


def person_and_bike(w: World, a: Thing, bike: Thing):
    while True:
        action = w.pick({"ride": 5, "push": 4, "look": 2, "close": 2})
        far = w.margin if bike.x > w.width / 2 else w.width - w.margin
        if action == "look":
            yield from moves.walk(w, a, watch_spot(w, a, bike))
            yield from moves.look(w, a, bike, w.randint(5, 10))
        elif action == "close":
            yield from stand_close(w, a, bike, w.randint(5, 9))
        elif action == "ride":
            bike.facing = poses.sign(far - bike.x)
            yield from moves.walk(w, a, float(goods.bike_points(bike)["saddle"][0]))
            if w.chance(0.25):  # ride out of the picture and back
                out = far + bike.facing * 90
                yield from seats.ride(w, a, bike, out, float(w.rng.uniform(8, 11)))
            yield from seats.ride(w, a, bike, far, float(w.rng.uniform(7, 10)))
            a.layer = 0.0
        else:
            goal = w.inside(bike.x + float(w.rng.uniform(-1, 1)) * 130)
            bike.facing = poses.sign(goal - bike.x)
            yield from moves.walk(w, a, bike.x - bike.facing * 0.1 * bike.size)
            yield from seats.push(w, a, bike, goal, float(w.rng.uniform(5, 7)))
            a.layer = 0.0


def person_and_cart(w: World, a: Thing, cart: Thing, rider: Thing | None = None):
    inside = False
    while True:
        action = w.pick({"push": 6, "look": 2, "close": 2})
        if action == "push":
            goal = 55.0 if cart.x > w.width / 2 else w.width - 55.0
            if w.chance(0.4):
                goal = w.inside(float(w.rng.uniform(0, w.width)))
            cart.facing = poses.sign(goal - cart.x)
            if rider is not None and not inside:
                yield from moves.walk(w, rider, cart.x - 0.1)
                inside = True
            x = (
                float(goods.cart_points(cart)["handle"][0])
                - cart.facing * 0.22 * a.size
            )
            waiting = moves.walk(w, a, x)
            for _ in waiting:
                if inside:
                    seats.seat_in_cart(w, rider, cart, "sitting on")
                yield
            cargo = rider if inside else None
            speed = float(w.rng.uniform(5, 8))
            yield from seats.push(w, a, cart, goal, speed, cargo)
            a.layer = 0.0
            continue
        if action == "look":
            others = [cart] + ([rider] if inside else [])
            target = others[int(w.rng.integers(len(others)))]
            x = watch_spot(w, a, cart)
            waiting = chain(
                moves.walk(w, a, x), moves.look(w, a, target, w.randint(5, 9))
            )
        else:
            waiting = stand_close(w, a, cart, w.randint(5, 8))
        for _ in waiting:
            if inside:
                seats.seat_in_cart(w, rider, cart, "sitting on")
            yield


def someone_and_sofa(w: World, a: Thing, sofa: Thing, *extras: Thing):
    """Sit or stand on a sofa or beside it, holding a thing or watching a pet."""
    held = tuple(e for e in extras if not e.alive)[:1]
    pets = [e for e in extras if e.alive]
    while True:
        if held:
            hands.attach(w, a, held)
        actions = {"sit": 6, "stand": 3, "look": 2, "close": 2}
        if a.category == "adult":
            actions["stand"] = 1
        if held:
            actions = {"sit": 6, "hold": 3}
        action = w.pick(actions)
        if action == "hold":
            x = beside(w, a, sofa, float(w.rng.uniform(20, 40)))
            yield from moves.walk(w, a, w.inside(x), held=held)
            yield from hands.hold(w, a, held, w.randint(4, 9))
        elif action == "look":
            yield from moves.walk(w, a, watch_spot(w, a, sofa))
            yield from moves.look(w, a, sofa, w.randint(5, 9))
        elif action == "close":
            yield from stand_close(w, a, sofa, w.randint(5, 8))
        else:
            x = sofa.x + float(w.rng.uniform(-0.22, 0.22)) * sofa.size
            yield from moves.walk(w, a, x, held=held)
            if action == "sit":
                watched = pets[0] if pets and a.person and w.chance(0.7) else None
                yield from seats.sit(w, a, sofa, w.randint(8, 16), held, watched)
            else:
                yield from seats.stand_on(w, a, sofa, w.randint(6, 12))
