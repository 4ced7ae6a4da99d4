"""Inverse kinematics of the robot: damped least squares on the Jacobian of the end effector, inside the joint limits.

Linear algebra is MuJoCo's own, so that results do not depend on which BLAS is installed.
Source: Wampler 1986, doi 10.1109/TSMC.1986.289285 (damped least squares).
"""

from typing import Any

import numpy as np

from worldfoundry.simulate.arm.pose import Pose, angle_between, joined
from worldfoundry.simulate.arm.robot import END_EFFECTOR, JOINT_LIMITS_RAD, JOINTS
from worldfoundry.simulate.arm.scene import WORLD_FROM_ROBOT
from worldfoundry.simulate.render.context import import_mujoco

REACHED_M, REACHED_RAD = 2e-4, 1e-3
"""A pose counts as reached within these."""

_DAMPING = 1e-4
_MOST_STEPS = 40
_MOST_TURN_RAD = 0.3


class Kinematics:
    """Angles for poses and poses for angles of one model; things on the table play no part."""

    def __init__(self, model: Any):
        self._mujoco = import_mujoco()
        self._model, self._data = model, self._mujoco.MjData(model)
        self._site = model.site(END_EFFECTOR).id
        self._qpos = np.array([model.joint(name).qposadr[0] for name in JOINTS])
        self._dof = np.array([model.joint(name).dofadr[0] for name in JOINTS])
        self._jacobian = np.zeros((6, model.nv))

    def pose(self, angles: np.ndarray) -> Pose:
        """Pose of the end effector in the world at joint angles [6]."""
        self._data.qpos[self._qpos] = angles
        self._mujoco.mj_kinematics(self._model, self._data)
        return site_pose(self._data, self._site)

    def angles(self, target: Pose, *, start: np.ndarray) -> np.ndarray | None:
        """Angles [6] near ``start`` that bring the end effector to a pose in the robot's axes; ``None`` if none are found."""
        wanted, angles = joined(WORLD_FROM_ROBOT, target), start.copy()
        for _ in range(_MOST_STEPS):
            reached = self.pose(angles)
            offset = wanted.position - reached.position
            near = np.sqrt((offset * offset).sum()) < REACHED_M / 10
            if near and angle_between(reached, wanted) < REACHED_RAD / 10:
                break
            turn = np.empty(3)
            self._mujoco.mju_subQuat(turn, wanted.quaternion, reached.quaternion)
            error = np.concatenate([offset, (reached.rotation * turn).sum(1)])
            angles = np.clip(angles + self._step(error), *JOINT_LIMITS_RAD.T)
        reached = self.pose(angles)
        offset = wanted.position - reached.position
        found = np.sqrt((offset * offset).sum()) < REACHED_M and angle_between(reached, wanted) < REACHED_RAD
        return angles if found else None

    def _step(self, error: np.ndarray) -> np.ndarray:
        """Change of the angles [6] that best removes an error [6], damped near singular poses."""
        mujoco = self._mujoco
        mujoco.mj_comPos(self._model, self._data)
        mujoco.mj_jacSite(self._model, self._data, self._jacobian[:3], self._jacobian[3:], self._site)
        j = np.ascontiguousarray(self._jacobian[:, self._dof])
        gram, solution, step = np.empty((6, 6)), np.empty(6), np.empty(6)
        mujoco.mju_mulMatMatT(gram, j, j)
        gram[np.diag_indices(6)] += _DAMPING
        mujoco.mju_cholFactor(gram, 0.0)
        mujoco.mju_cholSolve(solution, gram, error)
        mujoco.mju_mulMatTVec(step, j, solution)
        return np.clip(step, -_MOST_TURN_RAD, _MOST_TURN_RAD)


def site_pose(data: Any, site: int) -> Pose:
    """Pose of a site in the world."""
    quaternion = np.empty(4)
    import_mujoco().mju_mat2Quat(quaternion, data.site_xmat[site])
    return Pose(position=data.site_xpos[site].copy(), quaternion=quaternion)
