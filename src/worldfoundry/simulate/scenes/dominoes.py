"""A chain of dominoes."""

import numpy as np

from worldfoundry.simulate.scenes.looks import make_view, mixed, numbers, saturated
from worldfoundry.simulate.scenes.world import Builder, Scene, contact_defaults


def dominoes(rng: np.random.Generator) -> Scene:
    """Six to ten big dominoes; the first is pushed and the chain runs for about two seconds."""
    world = Builder(rng)
    world.add_backdrop(wall_distance_m=rng.uniform(1.8, 2.6))
    count = int(rng.integers(6, 11))
    half = np.array([rng.uniform(0.05, 0.065), rng.uniform(0.24, 0.32), rng.uniform(0.4, 0.48)])
    gap = min(rng.uniform(0.46, 0.54), 2.9 / (count - 1))
    side = float(rng.choice([-1.0, 1.0]))
    heading = rng.uniform(-0.12, 0.12)
    turn = rng.uniform(-0.09, 0.09)
    points, headings = [np.zeros(2)], [heading - turn * (count - 1) / 2 + k * turn for k in range(count)]
    for k in range(1, count):
        middle = (headings[k - 1] + headings[k]) / 2
        points.append(points[-1] + gap * np.array([np.cos(middle), np.sin(middle)]))
    path = np.array(points) - (np.min(points, axis=0) + np.max(points, axis=0)) / 2
    first, last = world.colours[0], world.colours[3]
    for k in range(count):
        yaw = headings[k] if side > 0 else np.pi - headings[k]
        position = np.array([side * path[k, 0], path[k, 1], half[2] + 0.001])
        colour = saturated(mixed(first, last, k / (count - 1)))
        pose = (
            f'pos="{numbers(position)}" quat="{numbers(np.array([np.cos(yaw / 2), 0, 0, np.sin(yaw / 2)]))}"'
        )
        shape = f'type="box" size="{numbers(half)}"'
        velocity = [0.0] * 6
        if k == 0:  # a push at the top, turning about the lower edge
            push = rng.uniform(1.2, 1.6)
            speed = push * half[2]
            velocity = [side * speed * np.cos(headings[0]), speed * np.sin(headings[0]), 0.0, 0.0, push, 0.0]
        world.add_moving(f"domino-{k + 1}", shape, pose, velocity, stripe_m=0.0, colour=colour)
    view = make_view(
        rng,
        target=(0.0, 0.0, 0.4),
        distance_m=6.3,
        azimuth_rad=0.5,
        elevation_rad=(0.35, 0.6),
        least_azimuth_rad=0.25,
    )
    return world.finish(
        view=view, contact=contact_defaults(rng, restitution=(0.02, 0.1), friction=0.5, rolling_m=0.0)
    )
