"""The simulator tells the truth about its own pixels, and its worlds obey mechanics."""

import functools
import os
import subprocess
import sys

import numpy as np
import pytest

from worldfoundry.core.errors import ConfigError, MissingDependencyError, UnknownNameError
from worldfoundry.simulate import physics
from worldfoundry.simulate.film import SimulatedClip, simulate
from worldfoundry.simulate.poses import look_at
from worldfoundry.simulate.render import context
from worldfoundry.simulate.render.raycast import RayCaster
from worldfoundry.simulate.scenes import SCENES, TIMESTEP_SECONDS

GRAVITY = 9.81

mujoco = pytest.importorskip("mujoco")


@functools.cache
def clip_of(scene: str, seed: int = 3) -> SimulatedClip:
    return simulate(scene, seed=seed, num_frames=25)


def rotations(quaternions: np.ndarray) -> np.ndarray:
    w, x, y, z = np.moveaxis(quaternions, -1, 0)
    rows = [
        [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
        [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
        [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
    ]
    return np.stack([np.stack(row, -1) for row in rows], -2)


def camera_points(clip: SimulatedClip, points: np.ndarray) -> np.ndarray:
    """World points [t, n, 3] in the camera's axes."""
    pose = clip.camera.world_from_camera
    return np.einsum("tji,tnj->tni", pose[:, :3, :3], points - pose[:, None, :3, 3])


def world_points(clip: SimulatedClip, t: int) -> np.ndarray:
    """Every pixel's surface point [h, w, 3] of one frame, from depth and camera alone."""
    h, w = clip.depth.shape[1:]
    rows, columns = np.mgrid[:h, :w] + 0.5
    rays = np.stack([columns, rows, np.ones_like(rows)], -1) @ np.linalg.inv(clip.camera.intrinsics).T
    pose = clip.camera.world_from_camera[t]
    with np.errstate(invalid="ignore"):
        return (rays * clip.depth[t][..., None]) @ pose[:3, :3].T + pose[:3, 3]


@pytest.mark.parametrize("scene", SCENES)
def test_the_same_seed_gives_the_same_bytes_and_another_seed_another_world(scene):
    first, second, other = (simulate(scene, seed=s, num_frames=6) for s in (3, 3, 4))
    for name in ("segmentation", "depth", "body_positions", "body_quaternions", "body_velocities"):
        assert getattr(first, name).tobytes() == getattr(second, name).tobytes()
    assert first.frames.pixels.tobytes() == second.frames.pixels.tobytes()
    assert first.frames.pixels.tobytes() != other.frames.pixels.tobytes()


def test_a_longer_clip_begins_with_the_shorter_one():
    long, short = clip_of("dominoes"), simulate("dominoes", seed=3, num_frames=5)
    assert np.array_equal(long.frames.pixels[:5], short.frames.pixels)
    assert np.array_equal(long.body_positions[:5], short.body_positions)


@pytest.mark.parametrize("scene", SCENES)
def test_the_cached_picture_equals_a_full_retrace(scene):
    for seed in (0, 5):
        told = physics.record_physics(scene, seed=seed, num_frames=5, fps=2.5)
        model = mujoco.MjModel.from_xml_string(told.xml)
        data = mujoco.MjData(model)
        caster = RayCaster(
            model,
            surfaces=told.surfaces,
            light=told.light,
            viewpoint=told.viewpoints[0],
            height=40,
            width=56,
        )
        for t in range(5):
            data.qpos[:] = told.qpos[t]
            mujoco.mj_kinematics(model, data)
            quick, full = caster.render(data, t), caster.render_afresh(data)
            assert np.array_equal(quick.segmentation, full.segmentation)
            assert np.array_equal(quick.depth, full.depth)
            assert np.array_equal(quick.rgb, full.rgb)


@pytest.mark.parametrize("scene", SCENES)
def test_body_centres_project_into_their_masks(scene):
    clip = clip_of(scene)
    in_camera = camera_points(clip, clip.body_positions)
    pixel = in_camera @ clip.camera.intrinsics.T
    pixel = np.floor(pixel[..., :2] / pixel[..., 2:]).astype(int)
    hits, looked = 0, 0
    h, w = clip.segmentation.shape[1:]
    for t, body in np.ndindex(pixel.shape[:2]):
        column, row = pixel[t, body]
        if not (0 <= column < w and 0 <= row < h):
            continue
        seen = clip.segmentation[t, row, column]
        looked += 1
        # Another body may stand in front; it must then be nearer than this body's centre.
        hits += seen == body + 1 or (seen > 0 and clip.depth[t, row, column] < in_camera[t, body, 2])
    assert looked > 20
    assert hits >= 0.97 * looked


@pytest.mark.parametrize(
    ("scene", "seeds"), [("free-fall", range(20)), ("tilted-plane", range(20)), ("dominoes", range(5, 10))]
)
def test_every_centre_stays_well_inside_the_picture_and_every_body_ends_lower(scene, seeds):
    seconds = np.linspace(0, 3.7, 38)
    for seed in seeds:
        world, _, states = physics._draw(scene, seed, seconds)
        positions = states.qpos.reshape(len(seconds), -1, 7)[..., :3]
        pose = look_at(world.view.eye, world.view.target)
        local = (positions - pose[:3, 3]) @ pose[:3, :3]
        assert (local[..., 2] > 0).all(), seed
        off_centre = np.abs(local[..., :2] / local[..., 2:]) / np.tan(world.view.fov_rad / 2)
        assert (off_centre < 0.92).all(), seed
        assert (positions[0, :, 2] - positions[-1, :, 2] > 0.1).all(), seed


@pytest.mark.parametrize("scene", SCENES)
def test_depth_and_camera_put_every_pixel_on_its_surface(scene):
    clip = clip_of(scene)
    for t in (0, 8, 24):
        points, ids = world_points(clip, t), clip.segmentation[t]
        assert np.array_equal(ids == -1, np.isinf(clip.depth[t]))
        for k, name in enumerate(clip.body_names):
            offset = points[ids == k + 1] - clip.body_positions[t, k]
            # No body reaches further from its centre; half the plank of the seesaw is 1.4 m long.
            assert (np.linalg.norm(offset, axis=-1) < (1.5 if name == "plank" else 0.8)).all(), name
        assert (points[ids == 0][:, 2] > -1e-3).all()
        assert np.abs(points[-1, ids[-1] == 0, 2]).max() < 1e-3  # the lowest row is floor


@pytest.mark.parametrize("seed", range(6))
def test_free_fall_follows_the_parabola_until_something_is_touched(seed):
    clip = simulate("free-fall", seed=seed, num_frames=13, fps=40.0, height=16, width=16)
    seconds = clip.frames.pts_seconds
    for positions, velocities in zip(
        clip.body_positions.swapaxes(0, 1), clip.body_velocities.swapaxes(0, 1), strict=True
    ):
        pushed = (
            np.abs(velocities[:, :2] - velocities[0, :2]).max(axis=1) > 1e-9
        )  # only a contact pushes sideways
        untouched = ~np.maximum.accumulate(pushed)
        assert untouched[:5].all()
        t = seconds[untouched]
        fallen = positions[0, 2] + velocities[0, 2] * t - GRAVITY * t**2 / 2
        np.testing.assert_allclose(positions[untouched, 2], fallen, atol=GRAVITY * t[-1] * TIMESTEP_SECONDS)
        np.testing.assert_allclose(velocities[untouched, 2], velocities[0, 2] - GRAVITY * t, atol=1e-9)


@pytest.mark.parametrize("seed", range(4))
def test_bodies_go_down_the_ramp_and_never_faster_than_their_height_pays_for(seed):
    clip = simulate("tilted-plane", seed=seed, num_frames=25, height=16, width=16)
    height = clip.body_positions[..., 2]
    speed = np.linalg.norm(clip.body_velocities[..., :3], axis=-1)
    assert (np.diff(height[:10], axis=0) < 0).all()
    assert (height[0] - height[-1] > 0.2).all()
    gained = speed**2 / 2 - speed[0] ** 2 / 2
    # Two bodies may meet; their masses differ, so the bound holds for each alone only while they are apart.
    assert (gained[:10] <= GRAVITY * (height[0] - height[:10]) + 0.02).all()


@pytest.mark.parametrize("seed", range(2))
def test_dominoes_fall_one_after_another(seed):
    clip = simulate("dominoes", seed=seed, num_frames=60, fps=20.0, height=16, width=16)
    upright = rotations(clip.body_quaternions)[..., 2, 2]
    leaning = upright < np.cos(0.3)
    assert leaning[-1].all()
    first = leaning.argmax(axis=0)
    assert (np.diff(first) >= 0).all()
    assert first[-1] - first[0] > 10  # half a second of chain at least


def test_velocities_are_the_derivatives_of_the_poses_in_world_axes():
    clip = simulate("free-fall", seed=1, num_frames=20, fps=1 / TIMESTEP_SECONDS, height=16, width=16)
    moved = np.diff(clip.body_positions, axis=0) / TIMESTEP_SECONDS
    np.testing.assert_allclose(moved, clip.body_velocities[1:, :, :3], atol=1e-6)
    r = rotations(clip.body_quaternions)
    step = r[1:] @ r[:-1].swapaxes(-1, -2)  # world rotation from one step to the next
    turned = np.stack(
        [
            step[..., 2, 1] - step[..., 1, 2],
            step[..., 0, 2] - step[..., 2, 0],
            step[..., 1, 0] - step[..., 0, 1],
        ],
        -1,
    )
    np.testing.assert_allclose(turned / 2 / TIMESTEP_SECONDS, clip.body_velocities[1:, :, 3:], atol=0.02)


def test_camera_and_segmentation_do_not_depend_on_the_size_asked_for():
    small, large = (
        clip_of("tilted-plane"),
        simulate("tilted-plane", seed=3, num_frames=1, height=128, width=128),
    )
    np.testing.assert_allclose(large.camera.intrinsics[:2], 2 * small.camera.intrinsics[:2])
    assert np.array_equal(large.camera.world_from_camera[0], small.camera.world_from_camera[0])
    coarse = np.stack([large.segmentation[0, i::2, j::2] for i in (0, 1) for j in (0, 1)])
    agree = (coarse == small.segmentation[0]).any(axis=0)
    assert agree.mean() > 0.995


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"num_frames": 0}, "num_frames must be at least 1, got 0; "),
        ({"fps": 0.0}, "fps must be positive and finite, got 0.0; "),
        ({"fps": float("nan")}, "fps must be positive"),
        ({"fps": float("inf")}, "fps must be positive and finite"),
        ({"height": 15}, "height must be at least 16 pixels, got 15; "),
        ({"width": 8}, "width must be at least 16 pixels, got 8; "),
    ],
)
def test_settings_out_of_range_are_named(setting, message):
    with pytest.raises(ConfigError, match=message):
        simulate("free-fall", seed=0, **setting)


def test_unknown_names_offer_the_nearest():
    with pytest.raises(UnknownNameError, match="unknown scene 'free-fal'; did you mean 'free-fall'"):
        simulate("free-fal", seed=0)
    with pytest.raises(UnknownNameError, match="unknown renderer 'raycats'; did you mean 'raycast'"):
        simulate("free-fall", seed=0, num_frames=1, renderer="raycats")


def test_without_a_gl_context_auto_casts_rays_and_gl_says_what_to_do(monkeypatch, caplog):
    monkeypatch.setattr(context, "_gl_failure", lambda: "no display")
    with caplog.at_level("WARNING"):
        auto = simulate("free-fall", seed=0, num_frames=1, renderer="auto")
    assert [r.getMessage() for r in caplog.records] == [
        "renderer 'auto': no OpenGL context here (no display), using 'raycast'"
    ]
    assert np.array_equal(auto.frames.pixels, simulate("free-fall", seed=0, num_frames=1).frames.pixels)
    with pytest.raises(
        MissingDependencyError, match=r"'gl' needs an OpenGL context, got 'no display' with MUJOCO_GL"
    ):
        simulate("free-fall", seed=0, num_frames=1, renderer="gl")


def test_an_opengl_that_does_not_load_stops_only_the_renderer_that_needs_it():
    code = (
        "from worldfoundry.core.errors import MissingDependencyError\n"
        "from worldfoundry.simulate.film import simulate\n"
        "assert len(simulate('free-fall', seed=0, num_frames=1).frames.pixels) == 1\n"
        "try:\n    simulate('free-fall', seed=0, num_frames=1, renderer='gl')\n"
        "except MissingDependencyError as error:\n    print(error)\n"
    )
    broken = {**os.environ, "MUJOCO_GL": "no-such-library"}
    command = [sys.executable, "-c", code]
    said = subprocess.run(command, env=broken, capture_output=True, text=True, check=True).stdout
    assert "invalid value for environment variable MUJOCO_GL" in said
    assert "with MUJOCO_GL=no-such-library; set MUJOCO_GL to egl or osmesa" in said


def test_without_mujoco_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "mujoco", None)
    with pytest.raises(MissingDependencyError, match=r"worldfoundry\[simulate\]"):
        simulate("free-fall", seed=0)


def test_scene_names_are_listed_without_mujoco_or_torch():
    code = "import sys; from worldfoundry.simulate.scenes import SCENES; print(sorted({'mujoco', 'torch'} & set(sys.modules)))"
    listed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert listed.stdout.strip() == "[]"
