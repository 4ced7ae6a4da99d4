"""The robot arm does what its actions say, grasps by friction alone, and its words agree with what happened."""

import functools
import math

import numpy as np
import pytest

from worldfoundry.core.errors import ConfigError, UnknownNameError
from worldfoundry.simulate.arm import simulator as simulator_module
from worldfoundry.simulate.arm.behaviours import actions_for
from worldfoundry.simulate.arm.captions import Track, caption_of
from worldfoundry.simulate.arm.kinematics import Kinematics
from worldfoundry.simulate.arm.pose import angle_between, deltas_between, inverted, joined, moved, pose_at
from worldfoundry.simulate.arm.record import record_arm
from worldfoundry.simulate.arm.robot import HOME_RAD, JOINT_LIMITS_RAD, JOINTS
from worldfoundry.simulate.arm.scene import WORLD_FROM_ROBOT
from worldfoundry.simulate.arm.simulator import LAG_M, LAG_RAD, ArmSimulator
from worldfoundry.simulate.arm.task import BEHAVIOURS, draw_task, has_succeeded
from worldfoundry.simulate.film import simulate
from worldfoundry.simulate.recording import Recording
from worldfoundry.simulate.words import colour_name

mujoco = pytest.importorskip("mujoco")

SPHERE = np.stack(
    [
        [math.sqrt(1 - z * z) * math.cos(2.4 * k), math.sqrt(1 - z * z) * math.sin(2.4 * k), z]
        for k, z in enumerate(np.linspace(-0.995, 0.995, 300))
    ]
)


@functools.cache
def recorded(behaviour: str, seed: int, fps: float = 10.0, num_frames: int = 33) -> Recording:
    return record_arm(seed=seed, num_frames=num_frames, fps=fps, variant=behaviour)


@functools.cache
def at_start(seed: int, rate_hz: float = 10.0) -> ArmSimulator:
    simulator = ArmSimulator(rate_hz=rate_hz)
    simulator.reset(seed)
    return simulator


def turned(roll: float, pitch: float, yaw: float) -> np.ndarray:
    """Rotation matrix written out by hand: the tests do not trust the quaternions."""
    (sr, cr), (sp, cp), (sy, cy) = ((math.sin(a), math.cos(a)) for a in (roll, pitch, yaw))
    about_x = np.array([[1, 0, 0], [0, cr, -sr], [0, sr, cr]])
    about_y = np.array([[cp, 0, sp], [0, 1, 0], [-sp, 0, cp]])
    about_z = np.array([[cy, -sy, 0], [sy, cy, 0], [0, 0, 1]])
    return about_z @ about_y @ about_x


def poses_of(recording: Recording, body: str) -> np.ndarray:
    """world_from_body [t, 4, 4], from the states alone."""
    model = mujoco.MjModel.from_xml_string(recording.xml)
    data, poses = mujoco.MjData(model), []
    for qpos in recording.qpos:
        data.qpos[:] = qpos
        mujoco.mj_kinematics(model, data)
        pose = np.eye(4)
        pose[:3, :3], pose[:3, 3] = data.body(body).xmat.reshape(3, 3), data.body(body).xpos
        poses.append(pose)
    return np.stack(poses)


@pytest.mark.parametrize("behaviour", BEHAVIOURS)
@pytest.mark.parametrize("fps", [5.0, 10.0])
def test_adding_up_the_actions_from_the_true_start_gives_the_true_poses(behaviour, fps):
    for seed in (3, 34):  # the play of seed 34 presses on things
        recording = recorded(behaviour, seed, fps)
        states = np.array(recording.facts["robot_state"])
        position, rotation = states[0, :3], turned(*states[0, 3:6])
        for action, state in zip(recording.actions[:-1].astype(float), states[1:], strict=True):
            position, rotation = position + rotation @ action[:3], rotation @ turned(*action[3:6])
            slack = 5e-4  # by how much the robot is off its setpoint at the start
            assert np.sqrt(((position - state[:3]) ** 2).sum()) < LAG_M + slack
            cosine = (np.trace(rotation.T @ turned(*state[3:6])) - 1) / 2
            assert math.acos(min(1.0, cosine)) < LAG_RAD + 5e-3


def test_the_robot_state_is_the_pose_of_the_fingers_in_the_robots_axes():
    recording = recorded("pick-place", 3)
    states = np.array(recording.facts["robot_state"])
    left, right, base = (poses_of(recording, name) for name in ("left finger", "right finger", "robot base"))
    middle = (left[:, :3, 3] + right[:, :3, 3]) / 2 + left[:, :3, 2] * (0.115 - 0.036)
    in_base = np.einsum("tji,tj->ti", base[:, :3, :3], middle - base[:, :3, 3])
    assert np.abs(in_base - states[:, :3]).max() < 2e-3  # the fingers need not be equally far open
    apart = np.linalg.norm(left[:, :3, 3] - right[:, :3, 3], axis=1)
    assert np.abs(apart / 0.08 - states[:, 6]).max() < 1e-3
    to_left = np.einsum("tji,tj->ti", base[:, :3, :3], left[:, :3, 3] - right[:, :3, 3])
    open_wide = states[:, 6] > 0.9
    yaw = states[open_wide, 5]
    assert (to_left[open_wide, 1] * np.cos(yaw) - to_left[open_wide, 0] * np.sin(yaw) > 0.05).all()


def test_the_actions_say_that_they_are_in_the_end_effectors_axes():
    spec = recorded("reach", 3, 5.0).action_spec
    assert spec.rate_hz == 5.0
    assert [channel.frame for channel in spec.channels] == ["end_effector"] * 6 + ["none"]
    quarter = moved(pose_at(np.zeros(3), np.zeros(3)), np.array([0, 0, 0, 0, 0, math.pi / 2]))
    assert np.allclose(moved(quarter, np.array([1.0, 0, 0, 0, 0, 0])).position, [0, 1, 0])


def test_deltas_undo_moves_and_angles_survive_the_way_through_quaternions():
    rng = np.random.default_rng(0)
    for _ in range(50):
        start, end = (pose_at(rng.normal(size=3), rng.uniform(-1.4, 1.4, 3)) for _ in range(2))
        again = moved(start, deltas_between(start, end))
        assert np.allclose(again.position, end.position)
        assert angle_between(again, end) < 1e-6
        assert np.allclose(end.rotation, turned(*end.roll_pitch_yaw))
        assert np.allclose(joined(start, inverted(start)).position, 0)


def test_inverse_kinematics_reaches_poses_inside_the_limits_and_admits_what_it_cannot():
    kinematics, rng = Kinematics(at_start(0).model), np.random.default_rng(1)
    for _ in range(30):
        low, high = [0.3, -0.2, 0.03, -0.3, -0.3, -1.0], [0.55, 0.2, 0.3, 0.3, 0.3, 1.0]
        x = rng.uniform(low, high)
        target = pose_at(x[:3], x[3:])
        angles = kinematics.angles(target, start=HOME_RAD)
        assert angles is not None
        assert (angles >= JOINT_LIMITS_RAD[:, 0]).all()
        assert (angles <= JOINT_LIMITS_RAD[:, 1]).all()
        reached = joined(inverted(WORLD_FROM_ROBOT), kinematics.pose(angles))
        assert np.abs(reached.position - target.position).max() < 2e-4
        assert angle_between(reached, target) < 1e-3
    assert kinematics.angles(pose_at(np.array([1.2, 0, 0.1]), np.zeros(3)), start=HOME_RAD) is None


@pytest.mark.parametrize("behaviour", ["reach", "push", "pick-place"])
def test_scripted_behaviours_succeed_unless_the_robot_is_wrong_about_where_things_are(behaviour):
    tries = [recorded(behaviour, seed) for seed in range(10)]
    assert all(t.success for t in tries if not any(t.facts["aim_error_m"]))
    assert sum(any(t.facts["aim_error_m"]) for t in tries) < 5
    miss = recorded("reach", 20)
    assert any(miss.facts["aim_error_m"])
    assert miss.success is False
    assert "leaves it where it is" in miss.caption


def test_things_are_lifted_by_friction_between_two_fingers_and_end_in_the_container():
    for seed in (0, 1, 4):
        recording = recorded("pick-place", seed)
        model = mujoco.MjModel.from_xml_string(recording.xml)
        assert model.neq == 0  # nothing is welded
        thing, container = recording.facts["target"], recording.facts["container"]
        path, goal = poses_of(recording, thing)[:, :3, 3], poses_of(recording, container)[-1, :3, 3]
        assert recording.success
        assert np.linalg.norm(path[-1, :2] - goal[:2]) < 0.06
        assert path[-1, 2] - goal[2] < 0.06
        highest = int(path[:, 2].argmax())
        assert path[highest, 2] > path[0, 2] + 0.04
        data = mujoco.MjData(model)
        data.qpos[:] = recording.qpos[highest]
        mujoco.mj_forward(model, data)
        pairs = {frozenset(model.body(b).name for b in model.geom_bodyid[g]) for g in data.contact.geom}
        assert {frozenset((thing, "left finger")), frozenset((thing, "right finger"))} <= pairs


@pytest.mark.parametrize("behaviour", BEHAVIOURS)
def test_nothing_interpenetrates_and_no_camera_is_near_a_surface(behaviour):
    recording = recorded(behaviour, 34)
    model = mujoco.MjModel.from_xml_string(recording.xml)
    data = mujoco.MjData(model)
    geoms, normals, distances = np.empty(300, np.int32), np.empty(900), np.empty(300)
    for t in range(0, 33, 2):
        data.qpos[:] = recording.qpos[t]
        mujoco.mj_forward(model, data)
        assert data.contact.dist.min(initial=0) > -5e-3
        for view in recording.viewpoints:
            eye = view.world_from_camera[t, :3, 3].copy()
            mujoco.mj_multiRay(
                model, data, eye, SPHERE.ravel(), None, 1, -1, geoms, distances, normals, 300, 1e6
            )
            assert distances[geoms >= 0].min() > 0.05


def test_things_stand_on_the_table_at_the_start_and_are_in_the_picture():
    for seed in range(6):
        recording = recorded("random", seed, num_frames=2)
        assert np.abs(recording.qvel[0]).max() < 0.2
        view = recording.viewpoints[0]
        for name in recording.facts["kinds"]:
            x = np.linalg.inv(view.world_from_camera[0]) @ np.append(poses_of(recording, name)[0, :3, 3], 1.0)
            assert np.abs(x[:2] / x[2]).max() < 0.97 * math.tan(view.fov_rad[0] / 2)


def test_the_same_seed_gives_the_same_bytes_and_a_longer_clip_begins_with_the_shorter_one():
    long, short = recorded("random", 5), recorded("random", 5, num_frames=9)
    again = record_arm(seed=5, num_frames=9, fps=10.0, variant="random")
    for field in ("qpos", "qvel", "actions"):
        assert getattr(short, field).tobytes() == getattr(again, field).tobytes()
        assert np.array_equal(getattr(long, field)[:9], getattr(short, field))
    assert short.caption == again.caption
    assert long.xml == short.xml != recorded("random", 6).xml
    assert recorded("push", 5).xml == long.xml  # the table does not depend on what is done on it


def test_a_seed_draws_one_of_the_behaviours_and_a_clip_is_filmed_by_both_cameras():
    drawn = {record_arm(seed=s, num_frames=1, fps=5.0, variant=None).facts["behaviour"] for s in range(12)}
    assert drawn == set(BEHAVIOURS)
    clip = simulate("arm/push", seed=1, num_frames=3, height=16, width=16)
    assert [view.name for view in clip.views] == ["main", "wrist"]
    assert clip.facts["behaviour"] == "push"
    assert clip.actions.shape == (3, 7)
    wrist = clip.controls.cameras[1]
    assert wrist.mount == "end_effector"
    state = np.array(clip.facts["robot_state"][2])
    hand = np.eye(4)
    hand[:3, :3], hand[:3, 3] = turned(*state[3:6]), state[:3]
    base = np.eye(4)
    base[:3, :3], base[:3, 3] = WORLD_FROM_ROBOT.rotation, WORLD_FROM_ROBOT.position
    expected = base @ hand @ np.array(wrist.mount_from_camera)
    assert np.abs(clip.views[1].camera.world_from_camera[2] - expected).max() < 1e-6
    right_down = np.array(wrist.mount_from_camera)[:3, :2].T
    assert np.allclose(right_down[0], [0, -1, 0])  # the robot's right is right in the picture,
    assert right_down[1, 0] < -0.5  # and ahead of it is up


def test_the_robot_stops_where_something_is_in_the_way():
    simulator = ArmSimulator(rate_hz=10.0)
    simulator.reset(2)
    thing = next(t for t in simulator.table.things if t.kind == "cube")
    over = pose_at(simulator.thing_pose(thing).position + np.array([0, 0, 0.09]), np.zeros(3))
    for _ in range(12):
        deltas = deltas_between(simulator.setpoint, over)
        simulator.step(np.append(deltas * min(1.0, 0.04 / np.abs(deltas).max()), 0.0))
    assert angle_between(simulator.setpoint, over) < 0.01
    stuck = [simulator.step(np.array([0, 0, -0.01, 0, 0, 0, 0.0]))[2] for _ in range(12)]
    gap = simulator.end_effector.position - simulator.setpoint.position
    assert np.linalg.norm(gap) < LAG_M
    assert stuck[0] == np.float32(-0.01)
    assert stuck[-1] == 0
    assert simulator.end_effector.position[2] > 2 * thing.top_m


def test_without_friction_nothing_is_lifted():
    simulator = ArmSimulator(rate_hz=10.0)
    simulator.reset(1)
    simulator.model.geom_friction[:] = 1e-5
    rng = np.random.default_rng(0)
    task = draw_task(rng, simulator, "pick-place")
    actions = actions_for(task, simulator, rng, aim_error=np.zeros(3))
    highest = 0.0
    for _ in range(24):
        simulator.step(next(actions))
        highest = max(highest, simulator.thing_pose(task.thing).position[2])
    assert highest < task.start[2] + 0.02


def test_a_state_can_be_taken_set_and_stepped_from_with_the_same_bytes():
    simulator = ArmSimulator(rate_hz=10.0)
    start = simulator.reset(2)
    action = np.array([0.02, 0.01, -0.03, 0.02, 0.0, 0.1, 0.0], np.float32)
    for _ in range(3):
        simulator.step(action)
    first = simulator.state
    simulator.state = start
    for _ in range(3):
        executed = simulator.step(action)
    assert executed.tobytes() == action.tobytes()
    assert simulator.state.physics.tobytes() == first.physics.tobytes()
    other = ArmSimulator(rate_hz=10.0)
    other.reset(0)
    with pytest.raises(ConfigError, match=r"reset\(2\) first"):
        other.state = start


def test_what_cannot_be_done_is_shortened_and_told():
    simulator = ArmSimulator(rate_hz=10.0)
    simulator.reset(2)
    for _ in range(20):
        before = simulator.setpoint
        executed = simulator.step(np.array([0.05, 0, -0.05, 0, 0, 0, 1]))
        assert np.allclose(moved(before, executed[:6]).position, simulator.setpoint.position)
    low, high = simulator_module.WORKSPACE_M.T
    assert (simulator.end_effector.position > low - LAG_M).all()
    assert (simulator.end_effector.position < high + LAG_M).all()
    joints = [simulator.data.joint(name).qpos[0] for name in JOINTS]
    assert (np.array(joints) < JOINT_LIMITS_RAD[:, 1] + 0.01).all()


def test_the_gripper_is_absolute_and_stops_at_what_it_holds():
    simulator = ArmSimulator(rate_hz=10.0)
    simulator.reset(2)
    for target in (0.0, 0.5, 1.0):
        for _ in range(5):
            simulator.step(np.append(np.zeros(6), target))
        assert abs(simulator.opening - target) < 0.03
    recording = recorded("pick-place", 1)
    opening = np.array(recording.facts["robot_state"])[:, 6]
    height = poses_of(recording, recording.facts["target"])[:, 2, 3]
    assert opening[height.argmax()] > 0.3
    assert recording.actions[height.argmax(), 6] == 0


@pytest.mark.parametrize(
    ("action", "told"),
    [(np.zeros(6), "7 finite numbers"), (np.full(7, np.nan), "7 finite numbers")],
)
def test_a_malformed_action_is_refused(action, told):
    with pytest.raises(ConfigError, match=told):
        at_start(0).step(action)


def test_unknown_names_are_refused():
    with pytest.raises(UnknownNameError, match="pick-place"):
        record_arm(seed=0, num_frames=1, fps=5.0, variant="pick")
    with pytest.raises(ConfigError, match="rate_hz"):
        ArmSimulator(rate_hz=0.1)


def test_a_clip_that_ends_too_early_is_a_failure_and_its_caption_does_not_claim_more():
    short, long = recorded("pick-place", 0, num_frames=5), recorded("pick-place", 0)
    assert (short.success, long.success) == (False, True)
    assert "picks up" not in short.caption
    assert f"picks up the {long.facts['target']} and puts it" in long.caption
    assert short.facts["instruction"] == long.facts["instruction"]


def test_captions_tell_what_happened_and_not_what_was_meant():
    simulator = at_start(1)
    task = draw_task(np.random.default_rng(3), simulator, "push")
    start = simulator.thing_pose(task.thing).position
    others = {t.name: np.tile(simulator.thing_pose(t).position, (3, 1)) for t in simulator.table.things}

    def told(*path: list[float], held: bool = False) -> str:
        things = others | {task.thing.name: start + np.array([[0, 0, 0], *path])}
        track = Track(things=things, gripper=np.ones((3, 3)), is_held=held, success=False)
        return caption_of(task, simulator.table.things, track)

    assert "to the left" in told([0, 0.04, 0], [0, 0.09, 0])
    assert "a little to the right" in told([0, -0.01, 0], [0, -0.03, 0])
    assert "away from the robot" in told([0.04, 0, 0], [0.09, 0.02, 0])
    assert "holds it" in told([0, 0, 0.03], [0, 0, 0.06], held=True)
    assert "pushes" not in told([0, 0, 0], [0, 0, 0])
    task = draw_task(np.random.default_rng(3), simulator, "pick-place")
    start = simulator.thing_pose(task.thing).position
    assert "lets go of it" in told([0, 0, 0.06], [0, 0, 0])


def test_colours_are_called_what_people_would_call_them():
    for seed in range(12):
        for thing in at_start(seed).table.things:
            assert colour_name(thing.part.surfaces[0].colour) == thing.name.split()[0]


def test_success_is_judged_from_where_things_are():
    simulator = ArmSimulator(rate_hz=10.0)
    simulator.reset(3)
    task = draw_task(np.random.default_rng(0), simulator, "pick-place")
    assert has_succeeded(task, simulator) is False
    joint = simulator.model.body(task.thing.name).jntadr[0]
    address = simulator.model.jnt_qposadr[joint]
    goal = simulator.data.body(task.container.name).xpos
    simulator.data.qpos[address : address + 3] = goal + np.array([0, 0, 0.01 + task.thing.bottom_m])
    mujoco.mj_kinematics(simulator.model, simulator.data)
    assert has_succeeded(task, simulator) is True
    simulator.data.qpos[address] += 0.08
    mujoco.mj_kinematics(simulator.model, simulator.data)
    assert has_succeeded(task, simulator) is False
