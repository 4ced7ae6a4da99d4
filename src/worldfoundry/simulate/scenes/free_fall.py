"""Free fall."""

import numpy as np

from worldfoundry.simulate.scenes.looks import make_view, numbers
from worldfoundry.simulate.scenes.world import Builder, Scene, contact_defaults, random_rotation


def free_fall(rng: np.random.Generator) -> Scene:
    """One to three bodies fall for about 0.7 s, bounce and roll out."""
    world = Builder(rng)
    world.add_backdrop(wall_distance_m=rng.uniform(1.8, 2.6))
    count = int(rng.integers(1, 4))
    spread = (0.0, 0.6, 0.98)[count - 1]
    slots = rng.permutation(np.linspace(-spread, spread, count))
    for k, x in enumerate(slots):
        radius = rng.uniform(0.38, 0.5) if count < 3 else rng.uniform(0.33, 0.4)
        kind, shape, stripe = _rounded_shape(rng, radius)
        x = x + (rng.uniform(-0.5, 0.5) if count == 1 else rng.uniform(-0.06, 0.06))
        position = np.array([x, rng.uniform(-0.25, 0.25), rng.uniform(1.95, 2.6)])
        pose = f'pos="{numbers(position)}" quat="{numbers(random_rotation(rng))}"'
        velocity = [*(-0.25 * x / 2 + rng.uniform(-0.25, 0.25, 1)), *rng.uniform(-0.1, 0.1, 1), 0.0]
        velocity += [*rng.uniform(-2.5, 2.5, 3)]
        world.add_moving(f"{kind}-{k + 1}", shape, pose, velocity, stripe_m=stripe, colour=world.colours[k])
    view = make_view(
        rng, target=(0.0, 0.0, 1.35), distance_m=5.5, azimuth_rad=0.25, elevation_rad=(0.1, 0.28)
    )
    return world.finish(
        view=view, contact=contact_defaults(rng, restitution=(0.45, 0.7), friction=0.7, rolling_m=0.05)
    )


def _rounded_shape(rng: np.random.Generator, radius: float) -> tuple[str, str, float]:
    """Kind, geom attributes and stripe width of a body about two radii across."""
    kind = str(rng.choice(["sphere", "box", "capsule", "cylinder", "ellipsoid"]))
    size = {
        "sphere": [radius],
        "box": radius * np.array([0.9, rng.uniform(0.65, 0.9), rng.uniform(0.65, 0.9)]),
        "capsule": [radius * 0.68, radius * 0.6],
        "cylinder": [radius * 0.9, radius * rng.uniform(0.5, 0.85)],
        "ellipsoid": radius * np.array([1.15, rng.uniform(0.7, 0.85), rng.uniform(0.75, 0.9)]),
    }[kind]
    return kind, f'type="{kind}" size="{numbers(np.array(size))}"', 0.5 * radius
