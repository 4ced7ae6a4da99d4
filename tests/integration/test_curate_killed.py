"""``kill -9`` at any step on disk, then the same run again: the same tree, byte for byte."""

from pathlib import Path

import pytest
from tests.integration.killing import Killer
from tests.unit.curate.standins import video


def everything(out: Path) -> dict[str, bytes]:
    return {p.relative_to(out).as_posix(): p.read_bytes() for p in sorted(out.rglob("*")) if p.is_file()}


@pytest.mark.slow
def test_killed_anywhere_and_run_again_is_the_same_as_straight(tmp_path):
    video(tmp_path / "in" / "a.mp4", (1, 14, 2), (2, 12, 3))
    video(tmp_path / "in" / "b.mp4", (3, 12, 2))
    killer = Killer(tmp_path / "killer")
    _, steps = killer.run(tmp_path / "in", tmp_path / "straight")
    expected = everything(tmp_path / "straight")
    assert {"index.parquet", "report.html", "manifest.json"} <= expected.keys()
    assert steps >= 20
    for at in range(1, steps, steps // 5):
        out = tmp_path / f"killed-{at}"
        assert killer.run(tmp_path / "in", out, kill_at=at)[0]
        assert everything(out) != expected or at >= steps - 1
        killer.run(tmp_path / "in", out)
        assert everything(out) == expected, f"killed at step {at}"
