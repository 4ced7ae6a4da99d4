"""Renderers of a recording: ray casting on the CPU (default) and OpenGL."""

from typing import Any

from worldfoundry.simulate.recording import Recording, Viewpoint
from worldfoundry.simulate.render.context import usable_renderer
from worldfoundry.simulate.render.gl import GlRenderer
from worldfoundry.simulate.render.picture import Renderer
from worldfoundry.simulate.render.raycast import RayCaster


def make_renderer(
    name: str, recording: Recording, model: Any, *, viewpoint: Viewpoint, height: int, width: int
) -> Renderer:
    """Renderer by name: ``raycast``; ``gl`` (fails without a GL context); ``auto`` (``gl`` if it works, else ``raycast``)."""
    usable = usable_renderer(name)
    caster = RayCaster(
        model,
        surfaces=recording.surfaces,
        light=recording.light,
        viewpoint=viewpoint,
        height=height,
        width=width,
    )
    return caster if usable == "raycast" else GlRenderer(caster, model)
