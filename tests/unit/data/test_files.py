import pytest

from worldfoundry.core.errors import DataError
from worldfoundry.curate import ingest
from worldfoundry.data.files import find_videos


def test_videos_are_found_at_any_depth_in_a_fixed_order_and_hidden_ones_are_not(tmp_path):
    names = ("b.MP4", "a/z.mov", "a/b/c.ts", ".hidden/x.mp4", "a/.x.mp4", "notes.txt")
    for name in names:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    assert [p.relative_to(tmp_path).as_posix() for p in find_videos(tmp_path)] == [
        "a/b/c.ts",
        "a/z.mov",
        "b.MP4",
    ]


def test_a_folder_without_videos_and_none_at_all_are_errors(tmp_path):
    with pytest.raises(DataError, match="must hold videos"):
        find_videos(tmp_path)
    with pytest.raises(DataError, match="must be a folder"):
        find_videos(tmp_path / "gone")


def test_curation_and_preparation_find_the_same_videos(tmp_path):
    for name in ("b.MP4", "a/z.mov", "a/b/c.ts", ".hidden/x.mp4", "a/.x.mp4", "notes.md"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    found = [str(path) for path in find_videos(tmp_path)]
    assert [source.url for source in ingest.find_sources([tmp_path])] == found
