"""The driving world: nobody touches anybody, the numbers are one motion, and the words are true."""

import json

import numpy as np
import pytest

from worldfoundry.core.errors import ConfigError
from worldfoundry.simulate.drive import record
from worldfoundry.simulate.drive.bicycle import WHEELBASE_M, Motion, integrate
from worldfoundry.simulate.drive.boxes import separation
from worldfoundry.simulate.drive.ground import LANE_M
from worldfoundry.simulate.drive.record import TRAJECTORY, record_drive
from worldfoundry.simulate.drive.rig import SIX_VIEWS, Rig, mount
from worldfoundry.simulate.drive.routes import Route, shift_heading, turn_heading
from worldfoundry.simulate.drive.situation import VARIANTS, draw_situation
from worldfoundry.simulate.drive.town import draw_town
from worldfoundry.simulate.film import simulate
from worldfoundry.simulate.worlds import world_names

mujoco = pytest.importorskip("mujoco")
FRONT = SIX_VIEWS.only("front")


def drive(seed: int, variant: str, *, num_frames: int = 60, fps: float = 10.0, rig: Rig = FRONT):
    return record_drive(seed=seed, num_frames=num_frames, fps=fps, variant=variant, rig=rig)


def states(recording, every: int = 4):
    """Model, and MjData at some frames."""
    model = mujoco.MjModel.from_xml_string(recording.xml)
    data = mujoco.MjData(model)
    for t in range(0, len(recording.qpos), every):
        data.qpos[:] = recording.qpos[t]
        mujoco.mj_kinematics(model, data)
        mujoco.mj_collision(model, data)
        yield t, model, data


def footprints(model, data):
    """Oriented rectangles around the true geoms of every vehicle, from MuJoCo's own state."""
    rows, names = [], []
    for b in range(1, model.nbody):
        name = model.body(b).name
        if not name.startswith(("ego", "traffic-", "parked")) or name == "traffic-lights":
            continue
        points = []
        for g in np.flatnonzero(model.geom_bodyid == b):
            mesh = model.geom_dataid[g]
            if mesh >= 0:
                first, count = model.mesh_vertadr[mesh], model.mesh_vertnum[mesh]
                local = model.mesh_vert[first : first + count]
            else:
                signs = np.array(np.meshgrid(*[[-1, 1]] * 3)).reshape(3, -1).T
                local = model.geom_aabb[g, :3] + signs * model.geom_aabb[g, 3:]
            world = data.geom_xpos[g] + local @ data.geom_xmat[g].reshape(3, 3).T
            points.append((world - data.xpos[b]) @ data.xmat[b].reshape(3, 3))
        low, high = np.min(np.concatenate(points), 0), np.max(np.concatenate(points), 0)
        rotation = data.xmat[b].reshape(3, 3)
        centre = data.xpos[b] + rotation @ ((low + high) / 2)
        yaw = np.arctan2(rotation[1, 0], rotation[0, 0])
        rows.append([centre[0], centre[1], yaw, (high[0] - low[0]) / 2, (high[1] - low[1]) / 2])
        names.append(name)
    return names, np.array(rows)


@pytest.mark.parametrize("variant", VARIANTS)
def test_nobody_overlaps_anybody_or_a_building(variant):
    for seed in range(5):
        recording = drive(seed, variant, num_frames=80)
        for t, model, data in states(recording):
            names, boxes = footprints(model, data)
            i, j = np.triu_indices(len(names), 1)
            assert separation(boxes[i], boxes[j]).min() > 0.2, (seed, t)
            # MuJoCo's own narrow phase agrees: wheels touch the ground, nothing else touches anything.
            ground = (data.contact.geom == 0).any(1)
            assert ground.all(), (seed, t)
            assert data.contact.dist.min() > -1e-3


def test_separation_knows_overlap_from_nearness():
    square = np.array([0, 0, 0, 1, 1.0])
    assert separation(square, np.array([2.3, 0, np.pi / 4, 1, 1])) < 0
    assert separation(square, np.array([2.5, 0, np.pi / 4, 1, 1])) > 0
    # Bounding boxes overlap, the rectangles do not.
    assert separation(square, np.array([1.6, 1.6, np.pi / 4, 1.5, 0.1])) < 0
    assert separation(square, np.array([1.6, 1.6, -np.pi / 4, 1.5, 0.1])) > 0


def test_nothing_floats_and_cameras_are_clear():
    rng = np.random.default_rng(0)
    rays = rng.standard_normal((400, 3))
    rays /= np.linalg.norm(rays, axis=1)[:, None]
    for seed, variant in enumerate(VARIANTS):
        recording = drive(seed, variant, num_frames=40, rig=SIX_VIEWS)
        for t, model, data in states(recording, every=13):
            wheels = np.flatnonzero(
                (model.geom_type == mujoco.mjtGeom.mjGEOM_CYLINDER)
                & (model.body_weldid[model.geom_bodyid] > 0)
            )
            gaps = data.geom_xpos[wheels, 2] - model.geom_size[wheels, 0]
            assert np.abs(gaps).max() < 2e-3
            for view in recording.viewpoints:
                n = len(rays)
                geom, distance = np.empty(n, np.int32), np.empty(n)
                eye = view.world_from_camera[t, :3, 3].copy()
                mujoco.mj_multiRay(model, data, eye, rays.ravel(), None, 1, -1, geom, distance, None, n, 1e6)
                assert distance[geom >= 0].min() > 0.05, (variant, view.name, t)


@pytest.mark.parametrize("fps", [4.0, 10.0, 30.0])
def test_actions_through_the_bicycle_give_the_poses(fps):
    for seed, variant in enumerate(VARIANTS):
        recording = drive(seed, variant, num_frames=round(6 * fps), fps=fps)
        poses, speed = np.array(recording.facts["world_from_ego"]), recording.facts["speed_m_s"]
        start = Motion(*poses[0, :2, 3], np.arctan2(poses[0, 1, 0], poses[0, 0, 0]), speed[0])
        rows = integrate(start, recording.actions[:-1], step_seconds=1 / fps)
        np.testing.assert_allclose(rows[:, :2], poses[:, :2, 3], atol=1e-5)
        np.testing.assert_allclose(np.cos(rows[:, 2]), poses[:, 0, 0], atol=1e-5)
        np.testing.assert_allclose(rows[:, 3], speed, atol=1e-5)
        np.testing.assert_allclose(recording.qpos[:, :2], poses[:, :2, 3], atol=1e-9)
        assert np.abs(recording.actions[:, 1]).max() < 0.6
        assert recording.action_spec.rate_hz == fps
        assert min(speed) > -1e-6


@pytest.mark.parametrize("variant", VARIANTS)
def test_velocities_are_the_derivatives_of_the_poses(variant):
    fps = 100.0
    recording = drive(3, variant, num_frames=400, fps=fps)
    n = recording.qpos.shape[1] // 7
    qpos, qvel = recording.qpos.reshape(-1, n, 7), recording.qvel.reshape(-1, n, 6)
    moved = np.diff(qpos[..., :3], axis=0) * fps
    np.testing.assert_allclose(moved, (qvel[1:, :, :3] + qvel[:-1, :, :3]) / 2, atol=0.01)
    turned = np.diff(2 * np.unwrap(np.arctan2(qpos[..., 6], qpos[..., 3]), axis=0), axis=0) * fps
    np.testing.assert_allclose(turned, qvel[:-1, :, 5], atol=0.01)
    # No lateral slip at the rear axle.
    yaw = 2 * np.arctan2(qpos[..., 6], qpos[..., 3])
    slip = qvel[..., 1] * np.cos(yaw) - qvel[..., 0] * np.sin(yaw)
    assert np.abs(slip).max() < 1e-9
    assert np.abs(np.diff(qvel[..., :2], axis=0)).max() * fps < 9  # m/s2: nothing jumps


def test_the_trajectory_is_the_path_ahead_in_the_ego_frame():
    recording = drive(1, "turn-left", num_frames=66)
    poses = np.array(recording.facts["world_from_ego"])
    ego_from_world = np.linalg.inv(poses[0])
    ahead = (ego_from_world @ poses[1:65])[:, :3, 3]
    np.testing.assert_allclose(recording.trajectory, ahead, atol=1e-5)
    assert recording.trajectory.shape == (TRAJECTORY.num_points, 3)
    assert recording.trajectory[-1, 1] > 5  # to the left
    finer = drive(1, "turn-left", num_frames=5, fps=7.0)  # frames and points at different times
    np.testing.assert_allclose(finer.trajectory, recording.trajectory, atol=0.1)


def test_each_variant_does_what_its_name_says():
    for seed in range(4):
        for variant, turned in (("turn-left", np.pi / 2), ("turn-right", -np.pi / 2), ("straight", 0)):
            poses = np.array(drive(seed, variant, num_frames=80).facts["world_from_ego"])
            yaw = np.arctan2(poses[:, 1, 0], poses[:, 0, 0])
            assert yaw[-1] - yaw[0] == pytest.approx(
                turned - 2 * np.pi * (turned > 1 and yaw[-1] < 0), abs=0.01
            )
        poses = np.array(drive(seed, "lane-change", num_frames=80).facts["world_from_ego"])
        assert abs(poses[-1, 0, 3] - poses[0, 0, 3]) == pytest.approx(LANE_M, abs=0.1)
        speed = drive(seed, "stop", num_frames=80).facts["speed_m_s"]
        assert speed[0] > 5
        assert speed[-1] < 0.1


def test_the_ego_car_keeps_to_the_middle_of_its_lane_after_a_turn():
    for seed in range(4):
        for variant, sign in (("turn-left", 1), ("turn-right", -1)):
            recording = drive(seed, variant, num_frames=80)
            y = recording.qpos[-1, 1]
            assert y == pytest.approx(sign * LANE_M / 2, abs=0.15)


def test_red_is_heeded_and_traffic_keeps_its_lane():
    for seed in range(4):
        for variant in ("stop", "straight"):
            recording = drive(seed, variant, num_frames=80)
            town = draw_situation_again(seed, variant).town
            n = recording.qpos.shape[1] // 7
            x, y = recording.qpos.reshape(-1, n, 7)[..., 0], recording.qpos.reshape(-1, n, 7)[..., 1]
            entered = (np.abs(x) < town.main.half_m) & (np.abs(y) < town.cross.half_m)
            for k in np.flatnonzero(entered.any(0) & ~entered[0]):
                is_cross = np.ptp(x[:, k]) > np.ptp(y[:, k])
                assert is_cross == (variant == "stop"), (seed, k)  # who has green goes, nobody else
            lanes = (LANE_M * (np.arange(2) + 0.5)).tolist()
            for k in range(1, n):
                off = x[:, k] if np.ptp(x[:, k]) < np.ptp(y[:, k]) + 1e-9 else y[:, k]
                if np.ptp(off) < 1e-9 and np.ptp(x[:, k]) + np.ptp(y[:, k]) > 0:
                    assert min(abs(abs(off[0]) - lane) for lane in lanes) < 1e-9


def draw_situation_again(seed: int, variant: str):
    """What ``record_drive`` draws."""
    rng = np.random.default_rng(seed)
    rng.choice(VARIANTS)
    sky = record.draw_sky(rng)
    return draw_situation(rng, variant=variant, dusk=sky.time == "dusk")


def test_captions_agree_with_what_happens():
    seen = set()
    for seed in range(6):
        for variant in VARIANTS:
            short, long = drive(seed, variant, num_frames=12), drive(seed, variant, num_frames=80)
            for recording in (short, long):
                words, facts = recording.caption, recording.facts
                seen |= {
                    part
                    for part in ("turns left", "begins to turn", "stops at", "slows down")
                    if part in words
                }
                poses = np.array(facts["world_from_ego"])
                lanes = {2: "two-lane", 4: "four-lane"}[facts["layout"]["main_lanes"]]
                assert f"along a {lanes} street" in words
                turned = poses[-1, 1, 0] < np.cos(1.3)
                assert turned == ("turns left at" in words or "turns right at" in words), words
                assert ("stops at a red light" in words) == (facts["speed_m_s"][-1] < 0.1), words
                assert ("evening" in words) == (facts["time_of_day"] == "dusk")
                assert facts["manoeuvre"] == variant
    assert len(seen) == 4


def test_one_seed_is_one_world_and_a_longer_clip_begins_with_the_shorter():
    short = drive(7, "turn-right", num_frames=9)
    again, long = drive(7, "turn-right", num_frames=9), drive(7, "turn-right", num_frames=120)
    assert short.xml == again.xml == long.xml
    assert repr(short.surfaces) == repr(long.surfaces)
    for name in ("qpos", "qvel", "actions"):
        np.testing.assert_array_equal(getattr(short, name), getattr(long, name)[:9])
    np.testing.assert_array_equal(short.trajectory, long.trajectory)
    a = simulate("drive/stop", seed=2, num_frames=2, height=16, width=16)
    b = simulate("drive/stop", seed=2, num_frames=3, height=16, width=16)
    for view, longer in zip(a.views, b.views, strict=True):
        np.testing.assert_array_equal(view.frames.pixels, longer.frames.pixels[:2])
        np.testing.assert_array_equal(view.depth, longer.depth[:2])


def test_without_a_variant_the_seed_draws_one():
    drawn = {str(np.random.default_rng(seed).choice(VARIANTS)): seed for seed in range(60)}
    assert set(drawn) == set(VARIANTS)
    for variant, seed in drawn.items():
        free = record_drive(seed=seed, num_frames=2, fps=10.0, rig=FRONT)
        assert free.facts["manoeuvre"] == variant
        assert free.xml == drive(seed, variant, num_frames=2).xml
    assert {"drive", *(f"drive/{v}" for v in VARIANTS)} <= set(world_names())


def test_the_rig_is_fixed_to_the_car_and_can_be_replaced():
    clip = simulate("drive/turn-left", seed=0, num_frames=3, height=16, width=24)
    assert [v.name for v in clip.views] == [
        "front",
        "front-left",
        "front-right",
        "back",
        "back-left",
        "back-right",
    ]
    poses = np.array(clip.facts["world_from_ego"])
    for view, spec in zip(clip.views, clip.controls.cameras, strict=True):
        assert (spec.mount, spec.pose) == ("ego", "fixed")
        np.testing.assert_allclose(view.camera.world_from_camera, poses @ np.array(spec.mount_from_camera))
    assert json.loads(json.dumps(clip.facts)) == clip.facts
    assert set(clip.facts["bodies"]) == set(clip.body_names)
    assert clip.controls.trajectory == TRAJECTORY
    assert clip.actions.shape == (3, clip.controls.actions.width)

    left = mount("roof", at=(1.0, 0.0, 3.0), yaw_rad=np.pi / 2, pitch_rad=0.0, fov_rad=1.0)
    recording = drive(0, "straight", num_frames=2, rig=Rig(mounts=(left,)))
    (view,) = recording.viewpoints
    forward = view.world_from_camera[0, :3, 2]
    np.testing.assert_allclose(forward, [-1, 0, 0], atol=1e-9)  # the car looks north, the camera west
    with pytest.raises(ConfigError, match="one name each"):
        Rig(mounts=(left, left))
    with pytest.raises(ConfigError, match="'up'"):
        SIX_VIEWS.only("up")


def test_routes_end_where_they_should():
    for side in (1.0, -1.0):
        route = Route(start=(0.0, 0.0), yaw=0.0, before_m=2.0, heading=turn_heading(side, 9.0))
        end = route.point_at(2.0 + route.length_m)
        np.testing.assert_allclose(end, [11.0, side * 9.0], atol=0.05)
        shift = Route(start=(0.0, 0.0), yaw=0.0, heading=shift_heading(side, 25.0, 3.5))
        np.testing.assert_allclose(shift.point_at(40.0)[1], side * 3.5, atol=0.01)
        places = np.arange(-5.0, 30.0, 0.7)
        found, off = route.project(route.point_at(places))
        np.testing.assert_allclose(found, places, atol=0.3)
        assert off.max() < 0.3
        radius = 1 / np.abs(np.gradient(route.yaw_at(places), places)).max()
        assert radius > WHEELBASE_M / np.tan(0.6)


def test_the_road_is_marked_for_right_hand_traffic():
    town = draw_town(np.random.default_rng(3), main_lanes=2, main_is_red=True, dusk=False)
    stop = town.cross.half_m + 5.6

    def brightness(x: float, y: float) -> float:
        return float(town.ground.paint(np.array([[x, y, 0.0]]), np.array([0.02])).mean())

    asphalt = brightness(5.2, -stop - 10)
    assert brightness(5.2, -stop) > 2 * asphalt  # for those who come from the south, on their right
    assert brightness(-5.2, stop) > 2 * asphalt
    assert brightness(-5.2, -stop) < 1.5 * asphalt
    assert brightness(stop - town.cross.half_m + town.main.half_m, 1.75) > 2 * asphalt
    assert brightness(town.main.half_m + 2, -stop - 10) > 1.3 * asphalt  # the pavement
