import json
import re
import subprocess
from dataclasses import dataclass

import pytest

from worldfoundry.core import runs
from worldfoundry.core.config import digest, save_config
from worldfoundry.core.errors import DataError
from worldfoundry.core.runs import append_jsonl, find_resumable, new_run_folder, read_jsonl, write_manifest


@dataclass(frozen=True)
class Config:
    steps: int = 1


def test_run_folders_are_new_and_named_by_time_and_word(tmp_path):
    folders = {new_run_folder(tmp_path, "wavetok-debug") for _ in range(20)}
    assert len(folders) == 20
    for folder in folders:
        assert folder.parent == tmp_path / "wavetok-debug"
        assert re.fullmatch(r"\d{8}-\d{6}-[a-z]+", folder.name)


def test_the_newest_run_of_the_same_configuration_is_resumed(tmp_path):
    for name, steps in (
        ("20260101-000000-oak", 1),
        ("20260102-000000-elm", 1),
        ("20260103-000000-fir", 2),
    ):
        save_config(Config(steps), tmp_path / "r" / name / "config.json")
    (tmp_path / "r" / "20260104-000000-ash").mkdir()  # killed before it had a configuration
    found = find_resumable(tmp_path, "r", digest(Config(1)))
    assert found is not None
    assert found.name == "20260102-000000-elm"
    assert find_resumable(tmp_path, "r", digest(Config(3))) is None
    assert find_resumable(tmp_path, "absent", digest(Config(1))) is None


def test_a_manifest_says_what_made_the_run_and_keeps_earlier_sessions(tmp_path):
    first = write_manifest(tmp_path, seed=3, device="cpu")
    assert first["seed"] == 3
    assert first["device"] == "cpu"
    assert first["versions"]["torch"]
    assert first["num_cpus"] >= 1
    write_manifest(tmp_path, seed=4)
    write_manifest(tmp_path, seed=5)
    stored = json.loads((tmp_path / "manifest.json").read_text())
    assert stored["seed"] == 5
    assert [m["seed"] for m in stored["earlier"]] == [3, 4]


def test_the_commit_is_that_of_our_checkout_and_never_of_the_repository_around_it(tmp_path, monkeypatch):
    def git(*arguments):
        names = ["-c", "user.name=t", "-c", "user.email=t@t", "-c", "commit.gpgsign=false"]
        return subprocess.run(
            ["git", *names, *arguments], cwd=tmp_path, check=True, capture_output=True, text=True
        ).stdout

    package = tmp_path / "site" / "worldfoundry"
    (package / "core").mkdir(parents=True)
    (package / "__init__.py").write_text("")
    monkeypatch.setattr(runs, "__file__", str(package / "core" / "runs.py"))
    git("init", "-q")
    git("commit", "-q", "--allow-empty", "-m", "theirs")
    assert runs._source_state() == {"commit": None, "dirty": None}
    git("add", ".")
    git("commit", "-q", "-m", "ours")
    assert runs._source_state() == {"commit": git("rev-parse", "HEAD").strip(), "dirty": False}
    (package / "__init__.py").write_text("changed = 1")
    assert runs._source_state()["dirty"] is True


def test_a_line_torn_by_a_kill_never_spoils_the_next_one(tmp_path):
    path = tmp_path / "logs" / "metrics.jsonl"
    append_jsonl(path, {"step": 1, "loss": 0.5})
    append_jsonl(path, {"step": 2, "loss": float("nan")})
    with path.open("a") as file:
        file.write('{"step": 3, "lo')
    assert [r["step"] for r in read_jsonl(path)] == [1, 2]
    append_jsonl(path, {"step": 4})
    assert read_jsonl(path) == [{"step": 1, "loss": 0.5}, {"step": 2, "loss": None}, {"step": 4}]


def test_a_file_that_is_one_torn_line_starts_afresh(tmp_path):
    path = tmp_path / "metrics.jsonl"
    path.write_text('{"st')
    append_jsonl(path, {"step": 1})
    assert read_jsonl(path) == [{"step": 1}]


def test_a_broken_line_in_the_middle_is_an_error(tmp_path):
    path = tmp_path / "metrics.jsonl"
    path.write_text('{"step": 1}\nnonsense\n{"step": 2}\n')
    with pytest.raises(DataError, match="line 2 must be JSON, got 'nonsense'"):
        read_jsonl(path)
