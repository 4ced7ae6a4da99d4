import os
import stat

import pytest

from worldfoundry.core.errors import ConfigError
from worldfoundry.core.files import atomic_folder, atomic_path, resumable_folder


def test_a_file_appears_whole_under_a_name_with_its_suffix(tmp_path):
    target = tmp_path / "deep" / "clip.mp4"
    with atomic_path(target) as temporary:
        assert temporary.suffix == ".mp4"
        assert temporary.parent == target.parent
        temporary.write_text("whole")
        assert not target.exists()
    assert target.read_text() == "whole"
    assert list(target.parent.iterdir()) == [target]


def test_a_file_may_be_read_by_whoever_may_read_a_new_one(tmp_path):
    target, other = tmp_path / "latents.safetensors", tmp_path / "other"
    for umask in (0o022, 0o077):
        before = os.umask(umask)
        try:
            other.unlink(missing_ok=True)
            other.write_text("")
            with atomic_path(target) as temporary:
                assert not temporary.exists()
                temporary.write_text("private")
                temporary.chmod(0o600)
        finally:
            os.umask(before)
        assert stat.S_IMODE(target.stat().st_mode) == stat.S_IMODE(other.stat().st_mode)


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path):
    target = tmp_path / "index.json"
    target.write_text("old")
    with pytest.raises(RuntimeError, match="half way"), atomic_path(target) as temporary:
        temporary.write_text("ne")
        raise RuntimeError("half way")
    assert target.read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]


def test_a_folder_replaces_the_old_one_without_mixing(tmp_path):
    target = tmp_path / "step-1"
    for name in ("first", "second"):
        with atomic_folder(target) as temporary:
            (temporary / name).write_text(name)
    assert [p.name for p in target.iterdir()] == ["second"]
    assert list(tmp_path.iterdir()) == [target]


def test_a_failed_folder_leaves_the_old_one_and_nothing_else(tmp_path):
    target = tmp_path / "step-1"
    target.mkdir()
    (target / "old").write_text("old")
    with pytest.raises(KeyboardInterrupt), atomic_folder(target) as temporary:
        (temporary / "new").write_text("new")
        raise KeyboardInterrupt
    assert [p.name for p in target.iterdir()] == ["old"]
    assert list(tmp_path.iterdir()) == [target]


def test_a_resumable_folder_comes_back_as_it_was_left_and_appears_when_it_is_whole(tmp_path):
    target, plan = tmp_path / "out", {"clips": 2, "scenes": ("a",)}
    with pytest.raises(RuntimeError), resumable_folder(target, plan) as folder:
        (folder / "first").write_text("1")
        raise RuntimeError
    assert not target.exists()
    with (
        pytest.raises(ConfigError, match="out was begun with other settings, got clips 2 before and 3 now; "),
        resumable_folder(target, plan | {"clips": 3}),
    ):
        pass
    with resumable_folder(target, plan) as folder:
        assert (folder / "first").read_text() == "1"
        with (
            pytest.raises(ConfigError, match="must be filled by one process at a time"),
            resumable_folder(target, plan),
        ):
            pass
    assert [p.name for p in target.iterdir()] == ["first"]
    assert list(tmp_path.iterdir()) == [target]


def test_a_resumable_folder_that_got_nothing_leaves_nothing(tmp_path):
    with pytest.raises(RuntimeError), resumable_folder(tmp_path / "out", {}):
        raise RuntimeError
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_process_was_writing_does_not_stay_in_a_resumable_folder(tmp_path):
    target, left = tmp_path / "out", dict[str, str]()
    with pytest.raises(KeyboardInterrupt), resumable_folder(target, {}) as folder:
        (folder / "a.main.mp4").write_text("whole")
        (folder / ".hidden").write_text("whole")
        for name in ("b.main.mp4", "c"):
            with pytest.raises(KeyError), atomic_path(folder / name) as temporary:
                left[name] = temporary.name
                raise KeyError
        with pytest.raises(KeyError), atomic_folder(folder / "d") as temporary:
            left["d"] = temporary.name
            raise KeyError
        raise KeyboardInterrupt
    for name in ("b.main.mp4", "c"):  # as kill -9 leaves them
        (folder / left[name]).write_text("half")
    (folder / left["d"]).mkdir()
    with resumable_folder(target, {}):
        pass
    assert sorted(p.name for p in target.iterdir()) == [".hidden", "a.main.mp4"]
