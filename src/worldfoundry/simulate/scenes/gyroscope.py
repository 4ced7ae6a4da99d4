"""A gyroscope: a spinning wheel on a stand that precesses instead of falling."""

import numpy as np

from worldfoundry.simulate.scenes.looks import Surface, hsv, make_view, numbers
from worldfoundry.simulate.scenes.world import Builder, Scene, contact_defaults

_GRAVITY = 9.81


def gyroscope(rng: np.random.Generator) -> Scene:
    """A wheel at the end of an axle whose other end rests on a stand; it goes round once in several seconds."""
    world = Builder(rng)
    world.add_backdrop(wall_distance_m=rng.uniform(2.0, 2.8))
    height, arm, radius = rng.uniform(1.0, 1.2), rng.uniform(0.6, 0.75), rng.uniform(0.5, 0.62)
    hue = rng.uniform()
    world.add_static(
        f'type="cylinder" size=".09 {height / 2 - 0.03:.4f}" pos="0 0 {height / 2 - 0.03:.4f}"',
        Surface(colour=hsv(hue, 0.35, 0.75), accent=hsv(hue, 0.35, 0.6)),
    )
    heading, lean = rng.uniform(0, 2 * np.pi), rng.uniform(1.0, 1.4)  # from the vertical
    axle = np.array([np.sin(lean) * np.cos(heading), np.sin(lean) * np.sin(heading), np.cos(lean)])
    side = np.array([-np.sin(heading), np.cos(heading), 0.0])
    pose = f'pos="{numbers(np.array([0, 0, height]) + arm * axle)}" xyaxes="{numbers(side)} {numbers(np.cross(axle, side))}"'
    spin = float(rng.choice([-1.0, 1.0])) * rng.uniform(45, 60)
    # Started at the rate of steady precession m g l / (I spin) of a thin disc, so that it nods only a little.
    rate = _GRAVITY * arm / (0.5 * radius**2 * spin)
    linear = rate * np.cross([0, 0, 1.0], arm * axle)
    world.add_moving(
        "wheel",
        f'type="cylinder" size="{radius:.4f} 0.07"',
        pose,
        [*linear, 0.0, rate * np.sin(lean), spin + rate * np.cos(lean)],
        stripe_m=0.35 * radius,
        colour=world.colours[0],
    )
    world.add_constraint(f'<connect body1="wheel" anchor="0 0 {-arm:.6f}" solref="0.005 1"/>')
    world.add_part(
        f'type="capsule" fromto="0 0 {-arm:.4f} 0 0 0.2" size=".045" density="1" contype="0" conaffinity="0"',
        world.colours[1],
    )
    view = make_view(rng, target=(0.0, 0.0, 0.95), distance_m=5.8, azimuth_rad=0.4, elevation_rad=(0.2, 0.4))
    contact = contact_defaults(rng, restitution=(0.1, 0.3), friction=0.7, rolling_m=0.0)
    return world.finish(view=view, contact=contact, outcome="moves")
