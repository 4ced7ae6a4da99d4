"""A ramp."""

import numpy as np

from worldfoundry.simulate.scenes.looks import Surface, hsv, make_view, numbers
from worldfoundry.simulate.scenes.world import Builder, Scene, contact_defaults


def tilted_plane(rng: np.random.Generator) -> Scene:
    """One or two bodies slide or roll down a ramp in about two seconds and run out onto the floor."""
    world = Builder(rng)
    world.add_backdrop(wall_distance_m=rng.uniform(1.6, 2.4))
    side = float(rng.choice([-1.0, 1.0]))
    angle = rng.uniform(0.19, 0.28)
    length, half_depth = 2.7, 0.6
    along = np.array([side * np.cos(angle), 0, -np.sin(angle)])  # down the ramp
    normal = np.array([side * np.sin(angle), 0, np.cos(angle)])
    foot = np.array([side * 0.85, 0, 0])
    centre = foot - along * length / 2 - normal * half_depth
    count = int(rng.integers(1, 3))
    half_width = 0.6 if count == 1 else 0.95
    hue = rng.uniform()
    world.add_static(
        f'type="box" size="{length / 2:.4f} {half_width:.4f} {half_depth:.4f}" pos="{numbers(centre)}" '
        f'xyaxes="{numbers(along * side)} 0 1 0"',
        Surface(
            colour=hsv(hue, rng.uniform(0.15, 0.4), rng.uniform(0.75, 0.92)),
            accent=hsv(hue, 0.4, rng.uniform(0.6, 0.7)),
            pattern=("plain", "clouds")[rng.integers(2)],
            scale_m=1.6,
            gloss=0.05,
            seed=int(rng.integers(1 << 31)),
        ),
    )
    world.add_static(
        f'type="box" size=".06 {half_width + 0.2:.4f} .16" pos="{side * 1.95:.4f} 0 .16"',
        Surface(colour=hsv(hue, 0.3, 0.6), accent=hsv(hue, 0.3, 0.6)),
    )
    lanes = rng.permutation([-0.48, 0.48])[:count] if count == 2 else [rng.uniform(-0.08, 0.08)]
    for k, y in enumerate(lanes):
        radius = rng.uniform(0.36, 0.44) if count == 2 else rng.uniform(0.42, 0.54)
        kind, shape, height, stripe = _ramp_shape(rng, radius, angle)
        start = (
            foot - along * (length - rng.uniform(0.45, 0.8)) + normal * (height + 0.004) + np.array([0, y, 0])
        )
        # Rollers lie with their axis across the ramp; everything else lies flat on it.
        if kind in ("cylinder", "capsule"):
            axes = f'xyaxes="{numbers(along * side)} {numbers(normal)}"'
        else:
            axes = f'xyaxes="{numbers(along * side)} 0 1 0"'
        velocity = [0.0] * 6
        world.add_moving(
            f"{kind}-{k + 1}",
            shape,
            f'pos="{numbers(start)}" {axes}',
            velocity,
            stripe_m=stripe,
            colour=world.colours[k],
        )
    view = make_view(rng, target=(0.0, 0.0, 0.45), distance_m=6.1, azimuth_rad=0.3, elevation_rad=(0.3, 0.5))
    return world.finish(
        view=view, contact=contact_defaults(rng, restitution=(0.1, 0.3), friction=0.6, rolling_m=0.004)
    )


def _ramp_shape(rng: np.random.Generator, radius: float, angle: float) -> tuple[str, str, float, float]:
    """Kind, geom attributes, height above the ramp and stripe width of a body that will go down it."""
    kind = str(rng.choice(["sphere", "box", "cylinder", "capsule", "sphere"]))
    if kind == "box":
        size = radius * np.array([0.95, 0.8, 0.7])
        # Slippery enough that it accelerates about as fast as a ball rolls; the box's own friction holds (priority).
        slip = np.tan(angle) * rng.uniform(0.25, 0.4)
        attributes = f'type="box" size="{numbers(size)}" friction="{slip:.4f} 0.005 0.0001" priority="1"'
        return kind, attributes, float(size[2]), 0.5 * radius
    size = {
        "sphere": [radius],
        "cylinder": [radius * 0.9, radius * 0.85],
        "capsule": [radius * 0.75, radius * 0.5],
    }[kind]
    return kind, f'type="{kind}" size="{numbers(np.array(size))}"', float(size[0]), 0.5 * radius
