"""Physics scenes, drawn from a seed: what stands where, how it looks, where the camera is.

World axes: x right, y away from the camera, z up; metres, radians, seconds. A scene is text for MuJoCo plus looks, so
that this package needs neither mujoco nor torch. The floor, the wall and the light are kept smooth on purpose: a
tokenizer of a few million weights has to reconstruct them at 64 pixels.
"""

from collections.abc import Callable

import numpy as np

from worldfoundry.simulate.scenes.dominoes import dominoes
from worldfoundry.simulate.scenes.free_fall import free_fall
from worldfoundry.simulate.scenes.gyroscope import gyroscope
from worldfoundry.simulate.scenes.looks import Surface, View
from worldfoundry.simulate.scenes.seesaw import seesaw
from worldfoundry.simulate.scenes.stacks import stable_stack, unstable_stack
from worldfoundry.simulate.scenes.tilted_plane import tilted_plane
from worldfoundry.simulate.scenes.u_slope import u_slope
from worldfoundry.simulate.scenes.world import TIMESTEP_SECONDS, Scene

__all__ = ["SCENES", "TIMESTEP_SECONDS", "Scene", "Surface", "View"]

SCENES: dict[str, Callable[[np.random.Generator], Scene]] = {
    "free-fall": free_fall,
    "tilted-plane": tilted_plane,
    "u-slope": u_slope,
    "stable-stack": stable_stack,
    "unstable-stack": unstable_stack,
    "dominoes": dominoes,
    "seesaw": seesaw,
    "gyroscope": gyroscope,
}
"""Every scene by name."""
