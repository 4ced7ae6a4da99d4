"""What the command lines of generate and simulate refuse before any work."""

from typing import get_args, get_type_hints

import pytest

from worldfoundry.cli import simulate
from worldfoundry.cli.main import main


def refusal(capsys, *args) -> str:
    """What stderr says, without line ends."""
    assert main(list(args)) in (1, 2)
    return " ".join(capsys.readouterr().err.split())


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (
            ["--image", "a.png", "--context-frames", "5"],
            "--context-frames goes with --video, got 5 and --image",
        ),
        (["--video", "a.mp4", "--context-frames", "0"], "--context-frames must be at least 1, got 0"),
        (["--video", "a.mp4", "--num-frames", "0"], "--num-frames must be at least 1, got 0"),
        (["--video", "a.mp4", "--image", "a.png"], "both or neither"),
        ([], "both or neither"),
    ],
)
def test_generate_refuses_settings_that_do_not_go_together(capsys, args, says):
    assert says in refusal(capsys, "generate", *args, "--out", "b.mp4", "--dry-run")


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (["avalanche"], "unknown scene 'avalanche'"),
        (["free-fall,dominos"], "did you mean 'dominoes'"),
        (["free-fall", "--clips", "0"], "--clips must be at least 1, got 0"),
        (["free-fall", "--seed", "-1"], "--seed must be at least 0, got -1"),
        (["free-fall", "--renderer", "none"], "raycast"),
        (["free-fall", "--format", "none"], "clip-set"),
    ],
)
def test_a_dry_run_of_simulate_refuses_what_a_run_would(capsys, args, says):
    assert says in refusal(capsys, "simulate", *args, "--out", "no-such-folder", "--dry-run")


def test_simulate_replaces_nothing(capsys, tmp_path):
    for mode in ([], ["--dry-run"]):
        assert "must not exist yet" in refusal(capsys, "simulate", "free-fall", "--out", str(tmp_path), *mode)


def test_the_renderers_of_the_command_are_those_of_the_simulator():
    from worldfoundry.simulate.render import RENDERERS

    assert set(get_args(get_type_hints(simulate.SimulateArgs)["renderer"])) == set(RENDERERS)
