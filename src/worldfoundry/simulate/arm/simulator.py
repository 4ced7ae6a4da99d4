"""The robot on its table, stepped action by action: ``ArmSimulator``.

An action is dx, dy, dz (m), droll, dpitch, dyaw (rad) in the end effector's own axes, and the gripper from 0 (closed) to 1
(open); see ``pose``. It moves the *setpoint*; servos make the robot follow within the time of one action. What the robot
cannot do (beyond its workspace, joints or speed, or because something is in the way) is shortened, and ``step`` gives back
what it executed: adding that up from the start gives where the end effector is, within ``LAG_M`` and ``LAG_RAD``.
"""

import math
from dataclasses import dataclass

import numpy as np

from worldfoundry.core.errors import ConfigError
from worldfoundry.protocols.control import ActionSpec, bridge_actions
from worldfoundry.simulate.arm.kinematics import Kinematics, site_pose
from worldfoundry.simulate.arm.pose import (
    Pose,
    angle_between,
    deltas_between,
    inverted,
    joined,
    moved,
    pose_at,
)
from worldfoundry.simulate.arm.robot import (
    DAMPINGS,
    END_EFFECTOR,
    FINGER_SPEED_M_S,
    FINGER_TRAVEL_M,
    FINGERS,
    GAINS,
    HOME_RAD,
    JOINT_SPEED_RAD_S,
    JOINTS,
)
from worldfoundry.simulate.arm.scene import WORLD_FROM_ROBOT, TableTop, draw_table_top
from worldfoundry.simulate.arm.things import Thing
from worldfoundry.simulate.render.context import import_mujoco

ACTION_WIDTH = 7
"""Numbers of an action."""
STATE_NAMES = ("x", "y", "z", "roll", "pitch", "yaw", "gripper")
"""What ``robot_state`` holds: pose in the robot's axes (m, rad), and the gripper's opening from 0 to 1."""
WORKSPACE_M = np.array([[0.24, 0.60], [-0.28, 0.28], [0.0, 0.36]])
"""float64 [3, 2], where the end effector may go in the robot's axes, if no finger comes nearer to the table than 5 mm."""
TURNS_RAD = np.array([[-0.5, 0.5], [-0.5, 0.5], [-2.0, 2.0]])
"""float64 [3, 2], lowest and highest roll, pitch and yaw."""

LAG_M, LAG_RAD = 0.005, 0.025
"""How far the end effector may stay behind its setpoint before it stops."""

_TABLE_GAP_M = 0.005
_LONGEST_TIMESTEP_SECONDS = 0.0025
_SETTLE_SECONDS = 0.4
_SETTLED_M_S = 0.02
_MOST_DRAWS = 32
_SHORTER = (1.0, 0.5, 0.25, 0.125)
_BLOCKED = (1.0, 0.5)
_STAY = np.array([0.0, 0, 0, 0, 0, 0, 1])


@dataclass(frozen=True, slots=True, kw_only=True)
class ArmState:
    """Everything that the next step depends on; valid for the table of one seed."""

    seed: int
    """Of the table."""
    physics: np.ndarray
    """float64, MuJoCo's integration state."""
    setpoint: Pose
    """Where the end effector is told to be, in the robot's axes."""
    angles: np.ndarray
    """float64 [6], joint angles of the setpoint."""


class ArmSimulator:
    """One robot with a table of things in front of it, at a constant number of actions a second."""

    def __init__(self, *, rate_hz: float):
        if not 0.5 <= rate_hz <= 60:
            raise ConfigError(f"rate_hz must be 0.5 to 60 actions a second, got {rate_hz}; Bridge has 5")
        self._mujoco = import_mujoco()
        self.rate_hz = rate_hz
        self._substeps = math.ceil(1 / rate_hz / _LONGEST_TIMESTEP_SECONDS)

    @property
    def action_spec(self) -> ActionSpec:
        """What an action means."""
        return bridge_actions(rate_hz=self.rate_hz, per_latent=4, frame="end_effector")

    def reset(self, seed: int) -> ArmState:
        """Set up the seed's table and robot: the first draw in which everything comes to rest where it was put."""
        self._seed, rng = seed, np.random.default_rng(seed)
        for _ in range(_MOST_DRAWS):
            self._load(draw_table_top(rng))
            start = self._draw_start(rng)
            if start is not None and self._settles(start):
                return self.state
        raise AssertionError(f"arm: no table at rest in {_MOST_DRAWS} draws of seed {seed}")

    @property
    def state(self) -> ArmState:
        """The state now; setting it goes back there exactly."""
        physics = np.empty(self._state_size())
        self._mujoco.mj_getState(self.model, self.data, physics, self._mujoco.mjtState.mjSTATE_INTEGRATION)
        return ArmState(seed=self._seed, physics=physics, setpoint=self._setpoint, angles=self._angles.copy())

    @state.setter
    def state(self, state: ArmState) -> None:
        if state.seed != self._seed:
            raise ConfigError(
                f"state must be of the table of seed {self._seed}, got one of {state.seed}; reset({state.seed}) first"
            )
        self._mujoco.mj_setState(
            self.model, self.data, state.physics, self._mujoco.mjtState.mjSTATE_INTEGRATION
        )
        self._setpoint, self._angles = state.setpoint, state.angles.copy()
        self._mujoco.mj_kinematics(self.model, self.data)

    def step(self, action: np.ndarray) -> np.ndarray:
        """Carry out one action [7] and give back what was executed, float32 [7].

        If something in the way keeps the end effector farther than ``LAG_M`` or ``LAG_RAD`` from its setpoint, the motion is
        taken back and half of it is tried, then none.
        """
        before, wanted = self.state, _checked(action)
        for share in _BLOCKED:
            executed, setpoint, angles = self._plan(wanted * np.append(np.full(6, share), 1))
            self._advance(angles, float(executed[6]))
            self._setpoint, self._angles = setpoint, angles
            if self._keeps_up():
                return executed
            self.state = before
        executed, _, _ = self._plan(wanted * _STAY)
        self._advance(self._angles, float(executed[6]))
        return executed

    @property
    def setpoint(self) -> Pose:
        """Where the end effector is told to be, in the robot's axes."""
        return self._setpoint

    @property
    def end_effector(self) -> Pose:
        """Where the end effector is, in the robot's axes."""
        return joined(inverted(WORLD_FROM_ROBOT), site_pose(self.data, self._site))

    @property
    def opening(self) -> float:
        """How far the fingers are apart, 0 to 1."""
        return float(np.clip(self.data.qpos[self._fingers].sum() / (2 * FINGER_TRAVEL_M), 0, 1))

    @property
    def robot_state(self) -> np.ndarray:
        """float64 [7], see ``STATE_NAMES``."""
        pose = self.end_effector
        return np.concatenate([pose.position, pose.roll_pitch_yaw, [self.opening]])

    def thing_pose(self, thing: Thing) -> Pose:
        """Where a thing is, in the robot's axes."""
        body = self.data.body(thing.name)
        there = Pose(position=body.xpos.copy(), quaternion=body.xquat.copy())
        return joined(inverted(WORLD_FROM_ROBOT), there)

    def is_held(self, thing: Thing) -> bool:
        """Whether a finger touches a thing."""
        body, fingers = self.model.body(thing.name).id, [self.model.body(f).id for f in FINGERS]
        self._mujoco.mj_collision(self.model, self.data)
        touching = self.data.contact.geom[self.data.contact.dist <= 0]
        pairs = self.model.geom_bodyid[touching]
        return bool(((pairs == body).any(1) & np.isin(pairs, fingers).any(1)).any())

    def _advance(self, angles: np.ndarray, opening: float) -> None:
        """Let the servos go evenly to joint angles [6], and the fingers towards an opening, within one action's time."""
        speed = (angles - self._angles) * self.rate_hz
        fingers, most = self.data.ctrl[6:].copy(), FINGER_SPEED_M_S / self.rate_hz
        travel = np.clip(opening * FINGER_TRAVEL_M - fingers, -most, most)
        for k in range(1, self._substeps + 1):
            share = k / self._substeps
            # The servos damp; what the damping would take from the wanted speed is added to the wanted angle.
            wanted = self._angles + share * (angles - self._angles)
            self.data.ctrl[:6] = wanted + DAMPINGS / GAINS * speed
            self.data.ctrl[6:] = fingers + share * travel
            self._mujoco.mj_step(self.model, self.data)
        self._mujoco.mj_kinematics(self.model, self.data)

    def _keeps_up(self) -> bool:
        """Whether the end effector is where it is told to be."""
        there, wanted = self.end_effector, self._setpoint
        gap = there.position - wanted.position
        return bool((gap * gap).sum() <= LAG_M**2 and angle_between(there, wanted) <= LAG_RAD)

    def _plan(self, action: np.ndarray) -> tuple[np.ndarray, Pose, np.ndarray]:
        """The part of an action that the robot can do, and the setpoint and angles that it leads to."""
        wanted = _checked(action)
        inside = _clipped(moved(self._setpoint, wanted[:6]))
        deltas = deltas_between(self._setpoint, inside)
        if np.abs(deltas - wanted[:6]).max() < 1e-9:
            deltas = wanted[:6]
        for share in _SHORTER:
            executed = np.append(share * deltas, wanted[6]).astype(np.float32)
            setpoint = moved(self._setpoint, executed[:6])
            angles = self._kinematics.angles(setpoint, start=self._angles)
            if angles is not None and np.abs(angles - self._angles).max() * self.rate_hz < JOINT_SPEED_RAD_S:
                return executed, setpoint, angles
        still = np.zeros(ACTION_WIDTH, np.float32)
        still[6] = wanted[6]
        return still, self._setpoint, self._angles.copy()

    def _load(self, table: TableTop) -> None:
        self.table = table
        self.model = self._mujoco.MjModel.from_xml_string(table.xml)
        self.model.opt.timestep = 1 / self.rate_hz / self._substeps
        self.data = self._mujoco.MjData(self.model)
        self._kinematics = Kinematics(self.model)
        self._site = self.model.site(END_EFFECTOR).id
        self._joints = np.array([self.model.joint(name).qposadr[0] for name in JOINTS])
        self._fingers = np.array([self.model.joint(name).qposadr[0] for name in FINGERS])

    def _draw_start(self, rng: np.random.Generator) -> Pose | None:
        """A pose above the table that the robot can take, or ``None``; the robot is put there, open."""
        low, high = np.array([0.34, -0.12, 0.17]), np.array([0.46, 0.12, 0.25])
        turns = rng.uniform([-0.15, -0.15, -0.5], [0.15, 0.15, 0.5])
        pose = pose_at(rng.uniform(low, high), turns)
        angles = self._kinematics.angles(pose, start=HOME_RAD)
        if angles is None:
            return None
        self._setpoint, self._angles = pose, angles
        self.data.qpos[self._joints], self.data.qpos[self._fingers] = angles, FINGER_TRAVEL_M
        self.data.ctrl[:6], self.data.ctrl[6:] = angles, FINGER_TRAVEL_M
        return pose

    def _settles(self, start: Pose) -> bool:
        """Let everything come to rest; the robot stays at ``start``."""
        self._mujoco.mj_step(self.model, self.data, round(_SETTLE_SECONDS / self.model.opt.timestep))
        self._mujoco.mj_kinematics(self.model, self.data)
        gap = self.end_effector.position - start.position
        return bool(np.abs(self.data.qvel).max() < 10 * _SETTLED_M_S and np.abs(gap).max() < 1e-3)

    def _state_size(self) -> int:
        return self._mujoco.mj_stateSize(self.model, self._mujoco.mjtState.mjSTATE_INTEGRATION)


def finger_depth(roll_pitch_yaw: np.ndarray) -> float:
    """How far open fingers reach below the end effector at most, metres."""
    roll, pitch = roll_pitch_yaw[0], roll_pitch_yaw[1]
    return 0.008 + 0.055 * abs(math.sin(roll)) + 0.011 * abs(math.sin(pitch))


def _checked(action: np.ndarray) -> np.ndarray:
    """An action as float64 [7] of float32 numbers, the gripper in 0 to 1."""
    values = np.asarray(action, np.float32).astype(float)
    if values.shape != (ACTION_WIDTH,) or not np.isfinite(values).all():
        raise ConfigError(
            f"action must be {ACTION_WIDTH} finite numbers, got shape {values.shape} with {values.tolist()}; "
            "dx, dy, dz, droll, dpitch, dyaw, gripper"
        )
    values[6] = min(max(values[6], 0.0), 1.0)
    return values


def _clipped(pose: Pose) -> Pose:
    """The nearest position and turns that are allowed."""
    turns = np.clip(pose.roll_pitch_yaw, *TURNS_RAD.T)
    position = np.clip(pose.position, *WORKSPACE_M.T)
    position[2] = max(position[2], _TABLE_GAP_M + finger_depth(turns))
    if (position == pose.position).all() and (turns == pose.roll_pitch_yaw).all():
        return pose
    return pose_at(position, turns)
