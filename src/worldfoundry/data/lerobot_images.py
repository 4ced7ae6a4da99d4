"""Pictures that a LeRobotDataset keeps in its rows: PNG or JPEG bytes in a column of structs."""

from pathlib import Path

import av
import av.error
import numpy as np
import pyarrow as pa

from worldfoundry.data.lerobot_meta import Episode, parquet_schema, read_parquet
from worldfoundry.data.lerobot_rows import broken
from worldfoundry.data.video_io import CODEC_THREADS, reason_of

_CODECS = {b"\x89PNG": "png", b"\xff\xd8\xff": "mjpeg"}
_END_OF_JPEG = b"\xff\xd9"
_EIGHT_BITS = frozenset("rgb24 rgba gray ya8 pal8 monob yuvj420p yuvj422p yuvj444p yuvj440p".split())


def read_encoded(episode: Episode, camera: str) -> list[bytes]:
    """The encoded picture of every row, each of them there."""
    path = episode.data_path
    fields = _fields(path, camera)
    if "bytes" not in fields:
        raise broken(
            path,
            episode,
            f"{camera} must be pictures, a struct of bytes and path, got {', '.join(fields) or 'no such column'}",
            "write them with lerobot, or correct features",
        )
    table = read_parquet(path, filters=[("episode_index", "==", episode.index)], columns=[camera])
    found = [item and item["bytes"] for item in table.column(camera).to_pylist()]
    for row, content in enumerate(found):
        if not content:
            raise broken(
                path,
                episode,
                f"row {row}: {camera} must hold its picture, got no bytes",
                "embed the pictures in the rows, or convert them to video, with lerobot",
            )
    return found


def read_images(episode: Episode, camera: str) -> np.ndarray:
    """uint8 [t, h, w, 3] of an episode."""
    path, pictures = episode.data_path, list[np.ndarray]()
    for row, content in enumerate(read_encoded(episode, camera)):
        try:
            picture = _decoded(content)
        except (av.error.FFmpegError, ValueError) as error:
            raise broken(
                path,
                episode,
                f"row {row}: {camera} must be a PNG or JPEG of 8 bits, got {reason_of(error)}",
                "record the episode again or drop it",
            ) from error
        if pictures and picture.shape != pictures[0].shape:
            raise broken(
                path,
                episode,
                f"row {row}: {camera} must have the size of row 0, {list(pictures[0].shape)}, got {list(picture.shape)}",
                "resize the pictures",
            )
        pictures.append(picture)
    return np.stack(pictures)


def _fields(path: Path, camera: str) -> list[str]:
    """Names in the structs of a column, or its type."""
    schema = parquet_schema(path)
    if camera not in schema.names:
        return []
    kind = schema.field(camera).type
    return [field.name for field in kind.fields] if pa.types.is_struct(kind) else [str(kind)]


def _decoded(content: bytes) -> np.ndarray:
    name = next((n for magic, n in _CODECS.items() if content.startswith(magic)), None)
    if name is None:
        raise ValueError(f"bytes that begin with {content[:4]!r}")
    if name == "mjpeg" and not content.rstrip(b"\0").endswith(_END_OF_JPEG):
        raise ValueError("a JPEG cut short")  # FFmpeg would paint the rest grey
    decoder = av.CodecContext.create(name, "r")
    assert isinstance(decoder, av.VideoCodecContext)
    decoder.thread_count = CODEC_THREADS
    frames = [*decoder.decode(av.Packet(content)), *decoder.decode(None)]
    if len(frames) != 1 or frames[0].is_corrupt:
        raise ValueError(f"{len(frames)} whole pictures")
    if frames[0].format.name not in _EIGHT_BITS:
        raise ValueError(f"pixels in {frames[0].format.name}")
    return frames[0].to_ndarray(format="rgb24")
