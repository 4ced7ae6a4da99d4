"""Stacks of boxes: one that stands for ever and one that topples."""

import numpy as np

from worldfoundry.simulate.scenes.looks import make_view, numbers
from worldfoundry.simulate.scenes.world import Builder, Outcome, Scene, contact_defaults

_GAP_M = 0.0005


def stable_stack(rng: np.random.Generator) -> Scene:
    """Three to five boxes, each centred well above the one below: nothing moves."""
    world = Builder(rng)
    world.add_backdrop(wall_distance_m=rng.uniform(1.8, 2.6))
    count = int(rng.integers(3, 6))
    side = rng.uniform(0.5, 0.6)
    place = np.array([rng.uniform(-0.5, 0.5), rng.uniform(-0.2, 0.2)])
    _add_boxes(world, place, count, side=side, shrink=(0.84, 0.97), lean_m=np.zeros(count), wobble_m=0.03)
    return _finish(world, outcome="rests")


def unstable_stack(rng: np.random.Generator) -> Scene:
    """Three or four boxes that lean so far to one side that the upper ones fall."""
    world = Builder(rng)
    world.add_backdrop(wall_distance_m=rng.uniform(1.8, 2.6))
    count = int(rng.integers(3, 5))
    side, half = float(rng.choice([-1.0, 1.0])), rng.uniform(0.4, 0.5)
    # The first steps are small; the last ones carry the centre of mass of the upper boxes past an edge.
    shares = np.array([0.0, *rng.uniform(0.4, 0.6, count - 2), rng.uniform(1.05, 1.2)])
    lean = side * half * np.cumsum(shares)
    place = np.array([-lean.mean() * 1.3, rng.uniform(-0.15, 0.15)])
    _add_boxes(world, place, count, side=half, shrink=(1.0, 1.0), lean_m=lean, wobble_m=0.0)
    return _finish(world, outcome="some-fall")


def _add_boxes(
    world: Builder,
    place: np.ndarray,
    count: int,
    *,
    side: float,
    shrink: tuple[float, float],
    lean_m: np.ndarray,
    wobble_m: float,
) -> None:
    """Boxes from the floor up, each a hair's breadth above the one below."""
    rng, top = world.rng, 0.0
    for k in range(count):
        half = np.array([side, side * rng.uniform(0.85, 1.0), rng.uniform(0.2, 0.3) * 4 / max(count, 4)])
        x, y = place + [lean_m[k], 0] + rng.uniform(-1, 1, 2) * wobble_m
        yaw = rng.uniform(-0.3, 0.3) if wobble_m else rng.uniform(-0.05, 0.05)
        position = np.array([x, y, top + half[2] + _GAP_M])
        top = position[2] + half[2]
        world.add_moving(
            f"box-{k + 1}",
            f'type="box" size="{numbers(half)}"',
            f'pos="{numbers(position)}" quat="{np.cos(yaw / 2):.6f} 0 0 {np.sin(yaw / 2):.6f}"',
            [0.0] * 6,
            stripe_m=0.0,
            colour=world.colours[k],
        )
        side *= rng.uniform(*shrink)


def _finish(world: Builder, *, outcome: Outcome) -> Scene:
    """Camera in front and dull contacts."""
    rng = world.rng
    view = make_view(rng, target=(0.0, 0.0, 0.8), distance_m=6.0, azimuth_rad=0.4, elevation_rad=(0.2, 0.4))
    contact = contact_defaults(rng, restitution=(0.02, 0.1), friction=0.8, rolling_m=0.0)
    return world.finish(view=view, contact=contact, outcome=outcome)
