import json
import subprocess
import sys

import pytest

from worldfoundry.cli import evaluate
from worldfoundry.core.config import save_config
from worldfoundry.core.errors import ConfigError
from worldfoundry.evaluate.config import EvalResult, Score


def _result(mean: float, version: int = 1) -> EvalResult:
    curves = {"psnr_horizon": {"1": Score(mean=mean, ci95=(mean - 1, mean + 1), n=3)}}
    return EvalResult(
        protocol={"id": "rollout", "version": version},
        data={},
        models={},
        groups={"dominoes": {"model": curves}},
    )


def test_a_dry_run_prints_the_settings_and_needs_no_model(capsys):
    assert evaluate.run(["rollout", "--scene", "dominoes", "--num-clips", "2", "--dry-run", "--json"]) == 0
    plan = json.loads(capsys.readouterr().out)
    assert plan["scenes"] == ["dominoes"]
    assert plan["num_clips"] == 2


def test_a_dry_run_refuses_what_a_run_would_refuse():
    with pytest.raises(ConfigError, match="avalanche"):
        evaluate.run(["rollout", "--scene", "avalanche", "--dry-run"])


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
