"""Which form a path has."""

from pathlib import Path

from worldfoundry.core.errors import DataError, require_package
from worldfoundry.data.clip_set import is_clip_set
from worldfoundry.data.files import VIDEO_SUFFIXES, find_videos
from worldfoundry.data.stored.clip import StoredDataset
from worldfoundry.data.stored.folder import FolderDataset
from worldfoundry.data.stored.shards import ShardDataset
from worldfoundry.data.stored.tars import find_tars

_LOOKED_FOR = (
    "meta/info.json (LeRobot), pixels.npy (clip set), index.parquet with shards/ (curated set), *.tar (WebDataset), "
    "videos"
)


def open_dataset(path: Path) -> StoredDataset:
    """Open whatever lies at ``path``; a ``DataError`` says what was looked for."""
    if not path.exists():
        raise DataError(f"{path} must be a data set, got no such file or folder; check the path")
    if path.is_file():
        if path.suffix == ".tar":
            return ShardDataset(path)
        raise DataError(f"{path} must be a folder or a .tar file, got another file; name the folder it is in")
    if (path / "meta" / "info.json").is_file():
        require_package("pyarrow", "curate")
        from worldfoundry.data.stored.others import LeRobotSource  # noqa: PLC0415  needs pyarrow

        return LeRobotSource(path)
    if is_clip_set(path):
        from worldfoundry.data.stored.others import ClipSetDataset  # noqa: PLC0415  needs pyarrow, as its neighbour

        return ClipSetDataset(path)
    if (path / "index.parquet").exists() and (path / "shards").is_dir() and find_tars(path / "shards"):
        return ShardDataset(path / "shards")
    if find_tars(path):
        return ShardDataset(path)
    if any(p.suffix.lower() in VIDEO_SUFFIXES for p in path.rglob("*")):
        find_videos(path)
        return FolderDataset(path)
    raise DataError(f"{path} must hold one of {_LOOKED_FOR}, got none of them; check the path")
