"""Actions on sofas, on bikes, and in and behind carts."""

import numpy as np

from . import goods
from .hands import attach
from .moves import gaze
from .poses import STAND, advance, gait, sign
from .scene import World
from .things import Pose, Thing


def sit(w: World, a: Thing, seat: Thing, frames: int, held: tuple = (), watched=None):
    """Sit on a sofa, facing the viewer or a watched thing; may hold something."""
    a.layer = seat.y - a.y + seat.layer + 0.4
    high = goods.sofa_points(seat)["seat"]
    for _ in range(frames):
        if a.person:
            a.pose = Pose(front=True, seat=high)
            a.facing = sign(w.width / 2 - a.x)
            if watched is not None:
                a.facing = sign(watched.x - a.x)
                profile = Pose(front=False, seat=high, legs=((78, 78), (70, 74)))
                gaze(w, a, watched, base=profile)
            if held:
                attach(w, a, held)
                w.relate(a, held[0], "holding")
        else:
            a.z = high + 2
            a.pose = Pose(front=True, pitch=44)
        w.relate(a, seat, "sitting on")
        yield
    a.layer, a.z = 0.0, 0.0


def stand_on(w: World, a: Thing, seat: Thing, frames: int):
    """Stand on a sofa; children bounce on it."""
    a.layer = seat.y - a.y + seat.layer + 0.4
    high = goods.sofa_points(seat)["seat"] + 1.0
    bounce = 5.0 if a.category == "child" else 0.0
    for t in range(frames):
        a.z = high + bounce * (t % 2)
        up = 150 if bounce else 14
        a.pose = Pose(front=True, arms=((up, 6), (up, 6))) if a.person else STAND
        w.relate(a, seat, "standing on")
        yield
    a.layer, a.z = 0.0, 0.0


def ride(w: World, a: Thing, bike: Thing, x: float, speed: float):
    """Ride the bike to x."""
    bike.layer, a.layer = 0.0, bike.y - a.y + 0.1
    while abs(x - bike.x) > 0.5:
        advance(bike, float(np.clip(x - bike.x, -speed, speed)))
        bike.angle += 44
        mount(w, a, bike)
        w.relate(a, bike, "riding")
        yield


def mount(w: World, a: Thing, bike: Thing) -> None:
    """Pose a rider on the saddle, feet on the pedals."""
    points = goods.bike_points(bike)
    a.facing = bike.facing
    a.x, a.y, a.z = float(points["saddle"][0]), bike.y, 0.0
    turn = np.deg2rad(bike.angle)
    crank = np.array([np.sin(turn) * bike.facing, np.cos(turn)]) * points["crank"]
    feet = (tuple(points["axle"] + crank), tuple(points["axle"] - crank))
    hand = tuple(points["bar"])
    high = bike.y - points["saddle"][1] + 0.03 * a.size
    a.pose = Pose(front=False, seat=high, lean=22, feet=feet, hands=(hand, hand))


def push(w: World, a: Thing, thing: Thing, x: float, speed: float, rider=None):
    """Push a cart (from behind) or a bike (from its side) to x."""
    while abs(x - thing.x) > 0.5:
        step = float(np.clip(x - thing.x, -speed, speed))
        thing.facing = sign(step)
        thing.x += step
        thing.angle += 30
        a.stride += abs(step)
        grip(w, a, thing)
        w.relate(a, thing, "pushing")
        if rider is not None:
            seat_in_cart(w, rider, thing, "riding")
        yield


def grip(w: World, a: Thing, thing: Thing) -> None:
    """Pose a figure with its hands on the handle of a cart or bike."""
    cart = thing.category == "cart"
    hand = (
        goods.cart_points(thing)["handle"] if cart else goods.bike_points(thing)["bar"]
    )
    a.facing = thing.facing
    a.x = float(hand[0]) - thing.facing * (0.22 if cart else 0.2) * a.size
    a.layer = thing.y + thing.layer - a.y - (0.0 if cart else 0.55)
    a.pose = gait(a).but(lean=16, hands=(tuple(hand), tuple(hand)))


def seat_in_cart(w: World, rider: Thing, cart: Thing, predicate: str) -> None:
    """Place a rider in the cart and record the relation."""
    rider.x = cart.x - cart.facing * 0.04 * cart.size
    rider.y, rider.layer = cart.y, cart.layer + 0.2
    rider.facing = cart.facing
    bed = goods.cart_points(cart)["bed"]
    if rider.person:
        rider.pose = Pose(front=False, seat=bed + 3, legs=((86, 20), (80, 20)))
    else:
        rider.z, rider.pose = bed + 8, Pose(front=False, pitch=40)
    w.relate(rider, cart, predicate)
