"""Renderers of a recording: ray casting on the CPU (default) and OpenGL."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

from worldfoundry.simulate.recording import Recording, Viewpoint
from worldfoundry.simulate.render.context import usable_renderer
from worldfoundry.simulate.render.gl import GlCanvas, GlView
from worldfoundry.simulate.render.picture import Renderer
from worldfoundry.simulate.render.raycast import RayCaster


@contextmanager
def open_renderer(
    name: str, recording: Recording, model: Any, *, height: int, width: int
) -> Iterator[Callable[[Viewpoint], Renderer]]:
    """Makes a renderer for each viewpoint: ``raycast``; ``gl`` (fails without a GL context); ``auto`` (``gl`` if it works).

    The viewpoints share what is costly to make; it is freed at the end.
    """
    if usable_renderer(name) == "raycast":
        lit = {"surfaces": recording.surfaces, "light": recording.light}
        yield lambda viewpoint: RayCaster(model, viewpoint=viewpoint, height=height, width=width, **lit)
        return
    canvas = GlCanvas(model, recording, height=height, width=width)
    try:
        yield partial(GlView, canvas)
    finally:
        canvas.close()
