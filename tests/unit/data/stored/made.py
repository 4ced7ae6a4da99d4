"""Footage that the tests of stored clips work on."""

import io
import json
import tarfile
from typing import Any

import numpy as np

from worldfoundry.core.config import to_json
from worldfoundry.data.video_write import write_video
from worldfoundry.protocols.control import ControlSpec, bridge_actions
from worldfoundry.protocols.frames import Frames

CONTROLS = ControlSpec(actions=bridge_actions(rate_hz=10.0))


def film(path, *, frames=6, seed=0, size=16):
    """A video of coarse noise at 10 fps."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 255, (frames, size // 8, size // 8, 3), dtype=np.uint8)
    pixels = coarse.repeat(8, 1).repeat(8, 2)
    write_video(path, Frames.at_constant_rate(pixels, 10.0))


def make_robot(folder):
    """A folder as the simulator writes it: two views, actions, controls, facts."""
    folder.mkdir()
    for k in range(3):
        film(folder / f"e{k}.main.mp4", seed=k)
        film(folder / f"e{k}.wrist.mp4", seed=10 + k)
        told = {
            "views": ["main", "wrist"],
            "caption": f"does {k}",
            "seed": k,
            "facts": {"instruction": f"do {k % 2}", "robot_state": [[k, t, 0.5] for t in range(6)]},
            "controls": to_json(CONTROLS),
        }
        (folder / f"e{k}.json").write_text(json.dumps(told))
        actions = np.arange(42, dtype=np.float32).reshape(6, 7) + k
        more: dict[str, Any] = {
            "fps": 10.0,
            "contacts": np.full((2, 9), k, np.float32),
            "depth_m": np.full((6, 16, 16), 2.5, np.float32),
            "wrist.intrinsics_px": np.diag([8.0, 8.0, 1.0]),
        }
        np.savez(folder / f"e{k}.npz", actions=actions, **more)
    return folder


def write_tar(path, members):
    """A tar of names and contents."""
    with tarfile.open(path, "w") as tar:
        for name, content in members:
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
