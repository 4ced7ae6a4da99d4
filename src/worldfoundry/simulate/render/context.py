"""What this machine can render with."""

import functools
import importlib
import logging
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from worldfoundry.core.errors import MissingDependencyError, UnknownNameError, require_package

RENDERERS = ("auto", "gl", "raycast")

_logger = logging.getLogger(__name__)


def usable_renderer(name: str) -> str:
    """``gl`` or ``raycast``: what ``name`` stands for on this machine; a fallback of ``auto`` is logged as a warning."""
    if name not in RENDERERS:
        raise UnknownNameError("renderer", name, RENDERERS)
    if name == "raycast":
        return name
    why_not = _gl_failure()
    if why_not and name == "gl":
        raise MissingDependencyError(
            f"renderer 'gl' needs an OpenGL context, got {why_not!r} with MUJOCO_GL={os.environ.get('MUJOCO_GL', '')}; "
            "set MUJOCO_GL to egl or osmesa where their libraries are installed, or use 'raycast'"
        )
    if why_not:
        _logger.warning("renderer 'auto': no OpenGL context here (%s), using 'raycast'", why_not)
    return "raycast" if why_not else "gl"


def import_mujoco() -> Any:
    """MuJoCo, also where it cannot load the OpenGL that ``MUJOCO_GL`` names: ray casting needs none."""
    try:
        return importlib.import_module("mujoco")
    except (ImportError, AttributeError, RuntimeError, OSError):
        with _environment("MUJOCO_GL", "disable"):
            return require_package("mujoco", "simulate")


@contextmanager
def _environment(name: str, value: str) -> Iterator[None]:
    """An environment variable with another value for a while."""
    before = os.environ.get(name)
    os.environ[name] = value
    try:
        yield
    finally:
        del os.environ[name]
        if before is not None:
            os.environ[name] = before


@functools.cache
def _gl_failure() -> str:
    """Why no OpenGL context can be made, empty if one can; tried in a child, because a failed attempt may abort."""
    attempt = "import mujoco; mujoco.Renderer(mujoco.MjModel.from_xml_string('<mujoco/>'), 16, 16).close()"
    child = subprocess.run([sys.executable, "-c", attempt], capture_output=True, text=True, check=False)
    if child.returncode == 0:
        return ""
    lines = [line for line in child.stderr.splitlines() if "Error" in line]
    return lines[-1].strip() if lines else f"exit status {child.returncode}"
