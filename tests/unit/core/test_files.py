import os
import stat

import pytest

from worldfoundry.core.files import atomic_folder, atomic_path


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
