"""OpenGL and the ray caster tell the same truth; only where some OpenGL can be loaded."""

import functools
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("mujoco")
SCENES = ("room/handheld", "outdoor/zoom", "dominoes")
# A child, because mujoco chooses its OpenGL when it is imported.
CHILD = """
import sys
import numpy as np
from worldfoundry.simulate.film import simulate
for scene in sys.argv[2:]:
    for renderer in ("raycast", "gl"):
        clip = simulate(scene, seed=3, num_frames=3, fps=1.5, height=48, width=72, renderer=renderer)
        path = sys.argv[1] + "/" + scene.replace("/", "-") + "-" + renderer + ".npz"
        np.savez(path, depth=clip.depth, ids=clip.segmentation, pixels=clip.frames.pixels)
"""


@functools.cache
def backend() -> str:
    """The first OpenGL that works, empty if none does."""
    attempt = "import mujoco; mujoco.Renderer(mujoco.MjModel.from_xml_string('<mujoco/>'), 16, 16).close()"
    for name in ("egl", "osmesa"):
        child = subprocess.run(
            [sys.executable, "-c", attempt],
            env={**os.environ, "MUJOCO_GL": name},
            capture_output=True,
            check=False,
        )
        if child.returncode == 0:
            return name
    return ""


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if not backend():
        pytest.skip("neither EGL nor OSMesa can be loaded here")
    folder = tmp_path_factory.mktemp("pictures")
    command = [sys.executable, "-c", CHILD, str(folder), *SCENES]
    subprocess.run(command, env={**os.environ, "MUJOCO_GL": backend()}, check=True)
    return folder


def is_away_from_edges(ids: np.ndarray, depth: np.ndarray) -> np.ndarray:
    """Pixels [t, h, w] whose eight neighbours are of the same body and at nearly the same depth."""
    away = np.zeros(ids.shape, bool)
    away[:, 1:-1, 1:-1] = True
    for i, j in ((i, j) for i in (-1, 0, 1) for j in (-1, 0, 1)):
        near = np.roll(depth, (i, j), (1, 2))
        with np.errstate(invalid="ignore"):
            away &= (np.roll(ids, (i, j), (1, 2)) == ids) & (
                (np.abs(near - depth) < 0.1 * depth) | (ids == -1)
            )
    return away


@pytest.mark.parametrize("scene", SCENES)
def test_depth_and_segmentation_agree_away_from_edges(pictures, scene):
    cast, drawn = (np.load(pictures / f"{scene.replace('/', '-')}-{name}.npz") for name in ("raycast", "gl"))
    away = is_away_from_edges(cast["ids"], cast["depth"])
    assert away.mean() > 0.4
    assert np.array_equal(cast["ids"][away], drawn["ids"][away])
    solid = away & (cast["ids"] >= 0)
    assert (np.abs(drawn["depth"][solid] / cast["depth"][solid] - 1) < 0.01).mean() > 0.999
    assert (cast["ids"] == drawn["ids"]).mean() > 0.97
    assert np.array_equal(np.isinf(drawn["depth"]), drawn["ids"] == -1)
    sky = away & (cast["ids"] == -1)
    if sky.any():  # the sky is the same picture, away from where the ray caster averages four rays
        assert np.median(np.abs(cast["pixels"][sky].astype(int) - drawn["pixels"][sky])) <= 1
    assert drawn["pixels"][solid].std() > 10
