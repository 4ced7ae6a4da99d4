"""A seesaw: a falling body throws another one up."""

import numpy as np

from worldfoundry.simulate.scenes.looks import Surface, hsv, make_view, numbers
from worldfoundry.simulate.scenes.world import Builder, Scene, contact_defaults


def seesaw(rng: np.random.Generator) -> Scene:
    """A plank on a pivot; a box lies on one arm and a heavier ball falls onto the other."""
    world = Builder(rng)
    world.add_backdrop(wall_distance_m=rng.uniform(1.8, 2.6))
    side = float(rng.choice([-1.0, 1.0]))
    pivot, half = rng.uniform(0.38, 0.5), np.array([1.4, 0.4, 0.05])
    hue = rng.uniform()
    world.add_static(
        f'type="box" size=".06 .35 {pivot / 2 - 0.0425:.4f}" pos="0 0 {pivot / 2 - 0.0425:.4f}"',
        Surface(colour=hsv(hue, 0.4, 0.7), accent=hsv(hue, 0.4, 0.6)),
    )
    tilt = side * rng.uniform(0.1, 0.16)  # the arm with the box hangs lower, held by nothing but the box
    along, normal = np.array([np.cos(tilt), 0, -np.sin(tilt)]), np.array([np.sin(tilt), 0, np.cos(tilt)])
    middle = np.array([0, 0, pivot])
    world.add_moving(
        "plank",
        f'type="box" size="{numbers(half)}"',
        f'pos="{numbers(middle)}" xyaxes="{numbers(along)} 0 1 0"',
        [0.0] * 6,
        stripe_m=0.2,
        colour=world.colours[0],
    )
    for y in (-0.4, 0.4):  # two points of the axle make a hinge and keep every joint a free one
        world.add_constraint(f'<connect body1="plank" anchor="0 {y} 0" solref="0.005 1"/>')
    box = np.array([0.26, 0.26, 0.22]) * rng.uniform(0.85, 1.1)
    lying = middle + side * along * rng.uniform(0.9, 1.05) + normal * (half[2] + box[2] + 0.001)
    world.add_moving(
        "box",
        f'type="box" size="{numbers(box)}"',
        f'pos="{numbers(lying)}" xyaxes="{numbers(along)} 0 1 0"',
        [0.0] * 6,
        stripe_m=0.18,
        colour=world.colours[1],
    )
    radius = rng.uniform(0.3, 0.38)
    falling = np.array([-side * rng.uniform(0.8, 1.0), rng.uniform(-0.05, 0.05), rng.uniform(1.8, 2.4)])
    world.add_moving(
        "ball",
        f'type="sphere" size="{radius:.4f}"',
        f'pos="{numbers(falling)}"',
        [0.0] * 6,
        stripe_m=0.5 * radius,
        colour=world.colours[2],
    )
    view = make_view(rng, target=(0.0, 0.0, 1.0), distance_m=6.4, azimuth_rad=0.3, elevation_rad=(0.15, 0.35))
    contact = contact_defaults(rng, restitution=(0.1, 0.3), friction=0.7, rolling_m=0.02)
    return world.finish(view=view, contact=contact, outcome="moves")
