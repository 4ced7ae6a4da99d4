"""Ground-truth worlds: small MuJoCo scenes with exact pixels, depth, segmentation, poses and velocities.

``scenes`` draws the worlds from a seed, ``physics`` lets them move, ``render`` looks at them without a GPU or a display.
Only this folder imports ``mujoco`` (extra ``simulate``), and only when something is simulated.
"""
