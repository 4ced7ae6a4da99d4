"""A U-shaped slope: bodies swing from side to side and lose height."""

import numpy as np

from worldfoundry.simulate.scenes.looks import Surface, hsv, make_view, numbers
from worldfoundry.simulate.scenes.world import Builder, Scene, contact_defaults

_SLABS = 28
_HALF_ARC_RAD = 1.25
_HALF_THICKNESS_M = 0.06


def u_slope(rng: np.random.Generator) -> Scene:
    """One or two rollers are let go high on the arms of a trough and swing to and fro."""
    world = Builder(rng)
    world.add_backdrop(wall_distance_m=rng.uniform(1.8, 2.6))
    radius_m, half_width = rng.uniform(1.5, 1.7), 0.55
    centre = np.array([0, 0, radius_m + 2 * _HALF_THICKNESS_M])
    _add_trough(world, centre, radius_m, half_width)
    sides = rng.permutation([-1.0, 1.0])[: rng.integers(1, 3)]
    for k, side in enumerate(sides):
        size = rng.uniform(0.3, 0.4)
        kind = str(rng.choice(["sphere", "cylinder", "sphere"]))
        angle = side * rng.uniform(0.7, 0.95)
        # The slabs are chords, nearer to the centre than the arc by this much at most.
        sagitta = radius_m * (1 - np.cos(_HALF_ARC_RAD / _SLABS))
        reach = radius_m - size - sagitta - 0.002
        start = centre + reach * np.array([np.sin(angle), 0, -np.cos(angle)])
        shape = f'type="{kind}" size="{size:.4f}{f" {size * 0.9:.4f}" if kind == "cylinder" else ""}"'
        pose = f'pos="{numbers(start)}" xyaxes="1 0 0 0 0 1"'  # the axis of a cylinder lies across the trough
        world.add_moving(
            f"{kind}-{k + 1}", shape, pose, [0.0] * 6, stripe_m=0.5 * size, colour=world.colours[k]
        )
    view = make_view(rng, target=(0.0, 0.0, 0.75), distance_m=6.3, azimuth_rad=0.25, elevation_rad=(0.3, 0.5))
    contact = contact_defaults(rng, restitution=(0.05, 0.2), friction=0.8, rolling_m=0.003)
    return world.finish(view=view, contact=contact, outcome="moves")


def _add_trough(world: Builder, centre: np.ndarray, radius_m: float, half_width: float) -> None:
    """Slabs along an arc around the y axis through ``centre``, their inner faces on or inside the arc."""
    rng, step = world.rng, 2 * _HALF_ARC_RAD / _SLABS
    hue = rng.uniform()
    colours = [hsv(hue, rng.uniform(0.2, 0.4), value) for value in (rng.uniform(0.8, 0.95), 0.7)]
    half_length = (radius_m + 2 * _HALF_THICKNESS_M) * np.tan(step / 2)
    for angle in (np.arange(_SLABS) + 0.5) * step - _HALF_ARC_RAD:
        along, inward = (
            np.array([np.cos(angle), 0, np.sin(angle)]),
            np.array([-np.sin(angle), 0, np.cos(angle)]),
        )
        middle = centre - inward * (radius_m * np.cos(step / 2) + _HALF_THICKNESS_M)
        world.add_static(
            f'type="box" size="{half_length:.5f} {half_width:.4f} {_HALF_THICKNESS_M}" pos="{numbers(middle)}" '
            f'xyaxes="{numbers(along)} 0 1 0"',
            Surface(colour=colours[0], accent=colours[1], pattern="plain", gloss=0.05),
        )
