import json
import subprocess
import sys

import numpy as np
import pytest

from worldfoundry.cli import evaluate, evaluate_work
from worldfoundry.cli.main import main
from worldfoundry.core.config import save_config
from worldfoundry.core.errors import ConfigError
from worldfoundry.data.video_write import write_video
from worldfoundry.evaluate.config import EvalResult, ReconstructionConfig, Score
from worldfoundry.protocols.frames import Frames


def _result(mean: float, version: int = 1, group: str = "dominoes") -> EvalResult:
    curves = {"psnr_horizon": {"1": Score(mean=mean, ci95=(mean - 1, mean + 1), n=3)}}
    return EvalResult(
        protocol={"id": "rollout", "version": version},
        data={},
        models={},
        groups={group: {"model": curves}},
    )


def test_a_dry_run_prints_the_settings_and_needs_no_model(capsys):
    assert evaluate.run(["rollout", "--scene", "dominoes", "--num-clips", "2", "--dry-run", "--json"]) == 0
    plan = json.loads(capsys.readouterr().out)
    assert plan["scenes"] == ["dominoes"]
    assert plan["num_clips"] == 2


def test_a_dry_run_refuses_what_a_run_would_refuse():
    with pytest.raises(ConfigError, match="unknown scene 'avalanche'"):
        evaluate.run(["rollout", "--scene", "avalanche", "--dry-run"])


def test_a_scene_with_a_typing_error_gets_the_nearest_name(capsys):
    assert main(["evaluate", "reconstruction", "--scene", "dominos", "--dry-run"]) == 2
    assert capsys.readouterr().err == "error: unknown scene 'dominos'; did you mean 'dominoes'?\n"


def test_every_run_stores_its_result_in_a_folder_of_its_own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(evaluate_work, "run_rollout", lambda config, report: _result(20.0))
    assert evaluate.run(["rollout", "--dry-run"]) == 0
    assert not (tmp_path / "runs").exists()
    for _ in range(2):
        assert evaluate.run(["rollout", "--json"]) == 0
    assert len(list(tmp_path.glob("runs/evaluate-rollout/*/eval.json"))) == 2


def test_a_failed_run_leaves_no_folder(tmp_path, monkeypatch):
    def fail(config, report):
        raise ConfigError("no")

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(evaluate_work, "run_rollout", fail)
    with pytest.raises(ConfigError):
        evaluate.run(["rollout"])
    assert list(tmp_path.iterdir()) == []


def test_the_table_never_cuts_a_name_short(tmp_path, monkeypatch, capsys):
    group = "a-scene-with-a-name-that-is-longer-than-eighty-columns-" * 2
    monkeypatch.setattr(evaluate_work, "run_rollout", lambda config, report: _result(20.0, group=group))
    assert evaluate.run(["rollout", "--out", str(tmp_path / "eval.json")]) == 0
    assert group in capsys.readouterr().out


def test_real_clips_slower_than_the_rate_are_left_out_and_named(tmp_path, monkeypatch, capsys):
    pixels = np.random.default_rng(0).integers(0, 255, (30, 16, 16, 3), dtype=np.uint8)
    for name, fps in (("fast", 25.0), ("slow", 5.0)):
        write_video(tmp_path / f"{name}.mp4", Frames.at_constant_rate(pixels, fps))
    config = ReconstructionConfig(clips=str(tmp_path), scenes=(), num_frames=9, size_px=16)
    (clip,) = evaluate_work.real_clips(config)
    assert clip.num_frames == 9
    assert (
        "slow.mp4: the source must run at 10 fps or more, got 5: frames would repeat"
        in capsys.readouterr().err
    )


def test_a_result_that_is_not_there_is_one_clear_error(tmp_path, capsys):
    save_config(_result(20.0), tmp_path / "a.json")
    assert main(["evaluate", "compare", str(tmp_path / "a.json"), str(tmp_path / "b.json")]) == 1
    said = capsys.readouterr().err
    assert (
        "b.json must be an eval.json that 'worldfoundry evaluate' wrote, got no such file; check the path"
        in said
    )
    assert "Errno" not in said


def test_compare_prints_b_minus_a(tmp_path, capsys):
    save_config(_result(20.0), tmp_path / "a.json")
    save_config(_result(21.5), tmp_path / "b.json")
    assert evaluate.run(["compare", str(tmp_path / "a.json"), str(tmp_path / "b.json"), "--json"]) == 0
    (row,) = json.loads(capsys.readouterr().out)
    assert row["difference"] == 1.5


def test_compare_refuses_another_protocol(tmp_path):
    save_config(_result(20.0), tmp_path / "a.json")
    save_config(_result(20.0, version=2), tmp_path / "b.json")
    with pytest.raises(ConfigError, match=r"protocol\.version is 1 and 2"):
        evaluate.run(["compare", str(tmp_path / "a.json"), str(tmp_path / "b.json")])


def test_an_unknown_suite_is_a_usage_error_with_the_nearest_name(capsys):
    assert evaluate.run(["rolout"]) == 2
    assert "'rollout'" in capsys.readouterr().err


def test_parsing_imports_no_torch():
    code = (
        "import sys; from worldfoundry.cli import demo, evaluate; evaluate.run(['rollout', '--dry-run']); "
        "sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False, capture_output=True).returncode == 0
