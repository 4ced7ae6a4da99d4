"""Ray gives the records that local processes give, byte for byte, also of sources that harm their worker."""

import dataclasses
import os
import sys
from pathlib import Path

import pytest
import ray
from tests.unit.curate.standins import video
from tests.unit.curate.test_pipeline import CONFIG, everything, request

from worldfoundry.curate.config import LimitsConfig
from worldfoundry.curate.local import LocalExecutor
from worldfoundry.curate.pipeline import run
from worldfoundry.curate.ray import RayExecutor

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore"),  # those of ray itself
]


@pytest.fixture(scope="module")
def executor(tmp_path_factory):
    patch = pytest.MonkeyPatch()
    patch.setenv(
        "PYTHONPATH", os.pathsep.join([str(Path(__file__).resolve().parents[2]), *filter(None, sys.path)])
    )
    patch.setenv("RAY_worker_niceness", "0")  # on a busy machine the polite default would meet our deadlines
    yield RayExecutor(num_workers=2, memory_gb=6.0)
    ray.shutdown()
    patch.undo()


def test_ray_and_local_processes_give_the_same_tree(executor, tmp_path):
    source = tmp_path / "in"
    video(source / "a.mp4", (1, 14, 2), (2, 12, 3))
    video(source / "b" / "static.mp4", (3, 12, 0))
    for k, name in enumerate(("crash", "error", "last")):
        video(source / f"{name}.mp4", (10 + k, 12, 2))
    (source / "text.avi").write_text("not a video")
    config = dataclasses.replace(CONFIG, limits=LimitsConfig(base_s=60.0))
    local = run(
        request(source, tmp_path / "local", config), executor=LocalExecutor(num_workers=2, memory_gb=6.0)
    )
    other = run(request(source, tmp_path / "ray", config), executor=executor)
    assert (local.kept, local.failed) == (other.kept, other.failed) == (3, {"crash": 1, "error": 1})
    assert everything(tmp_path / "ray") == everything(tmp_path / "local")
