"""Planted duplicates: windows of real footage and altered copies of them, written through real codecs.

Two planters make the same kinds of copies with different code: train and validation by NumPy and OpenCV, x264 only; test
and fresh by libavfilter graphs and four codecs. The alignment was developed on train and validation; the sources of fresh
had no part in that, nor in test. Strengths are drawn from the ranges of the kind, seeded by source, window and kind, so a
set is the same on every machine. Sources are split as all of ``labelled`` splits them: by file, never by clip.
"""

import hashlib
import itertools
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.video.stream import VideoStream

from worldfoundry.core.errors import DataError
from worldfoundry.core.files import atomic_path
from worldfoundry.curate.labelled import planting_test, planting_validation
from worldfoundry.curate.labelled.planting_validation import Made
from worldfoundry.data.video_io import probe, read_video
from worldfoundry.data.video_write import VideoWriter

KINDS = (
    "reencode",
    "resize",
    "speed",
    "mirror",
    "trim",
    "crop",
    "colour",
    "caption",
    "logo",
    "letterbox",
    "two_hop",
)
SINGLE = KINDS[:-1]
_TEST = (
    "test_video_30s big_buck_bunny_0_30 gallery-02_cups videos-bedroom CarND asl_gestures-no asl_gestures-night bottle-detection "
    "bridge-train-000000008 bridge-train-000000009 droid_new_setup batch_inputs-3 nasa_13013 cosmos3-reasoner"
).split()
_VALIDATION = (
    "car-detection gallery-03_blocks asl_gestures-learn asl_gestures-hungry bridge-train-000000007 droid_subset-videos-train-5 "
    "droid_subset-videos-train-6 batch_inputs-2 flower cosmos3-generator"
).split()
_FRESH = (
    "droid_subset-videos-train-4 keypoint_input_video robot_sample_input sample_av_mv tokenizer-test_data batch_inputs-1 "
    "asl_gestures-help bridge-train-000000000 bridge-train-000000001 bridge-train-000000003 bridge-train-000000004 "
    "bridge-train-000000005"
).split()
_TRAIN = (
    "droid_subset-videos-train-0 droid_subset-videos-train-1 droid_subset-videos-train-2 droid_subset-videos-train-3 sleap "
    "robot_augmentation asl_gestures-b gallery-01 stream-of-water batch_inputs-0 bridge-train-000000006 indexeddb"
).split()
_NAMES = {"train": _TRAIN, "validation": _VALIDATION, "test": _TEST, "fresh": _FRESH}
_MAKERS = {
    "train": planting_validation.MAKERS,
    "validation": planting_validation.MAKERS,
    "test": planting_test.MAKERS,
    "fresh": planting_test.MAKERS,
}
_WIDTH = 480
_LEAST_S, _LONGEST_S, _MOST_WINDOWS = 1.3, 3.5, 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Planted:
    """One clip of a planted set: an original window or an altered copy of one."""

    path: Path
    """The clip."""
    source: str
    """File that the window was cut from."""
    group: str
    """What is resampled by the bootstrap: the file, or the episode where several cameras saw one."""
    window: int
    """Which window of the file; copies of one window are each other's duplicates and nobody else's."""
    kind: str
    """original, or one of ``KINDS``."""


def files_of(folder: Path, split: str) -> list[Path]:
    """Videos of one split, sorted."""
    found = [
        p
        for p in sorted(folder.iterdir())
        if p.suffix in {".mp4", ".mkv", ".webm"} and any(n in p.name for n in _NAMES[split])
    ]
    if not found:
        raise DataError(
            f"{folder} must hold videos of the {split} split, got none; see curate/labelled/planting.py"
        )
    return found


def group_of(path: Path) -> str:
    """The scene that a file shows: cameras of one robot episode are one."""
    return path.stem[:-2] if "droid" in path.name else path.stem


def plant(folder: Path, split: str, cache: Path) -> list[Planted]:
    """Cut windows from the videos of a split and plant copies of each; finished files of the cache are reused."""
    made = []
    for video in files_of(folder, split):
        for k, (start, end) in enumerate(_windows(video)):
            paths = {kind: cache / split / f"{video.stem}-{k}-{kind}.mp4" for kind in ("original", *KINDS)}
            if not all(path.exists() for path in paths.values()):
                _plant_window(video, start, end, split, paths)
            facts = {"source": video.stem, "group": group_of(video), "window": k}
            made += [Planted(path=path, kind=kind, **facts) for kind, path in paths.items()]
    return made


def _windows(video: Path) -> list[tuple[float, float]]:
    seconds = probe(video).duration_seconds
    if seconds < _LEAST_S:
        return []
    count = int(np.clip(seconds // 2.4, 1, _MOST_WINDOWS))
    length = min(_LONGEST_S, seconds / count)
    starts = np.linspace(0, seconds - length, count)
    return [(float(s), float(s + length - 1e-3)) for s in starts]


def _plant_window(video: Path, start: float, end: float, split: str, paths: dict[str, Path]) -> None:
    width = min(_WIDTH, probe(video).width) // 2 * 2
    frames = read_video(video, start_seconds=start, end_seconds=end, width=width)
    height = frames.pixels.shape[1] // 2 * 2
    original = (
        np.ascontiguousarray(frames.pixels[:, :height]),
        float(Fraction(frames.fps).limit_denominator(1001)),
    )
    make = _MAKERS[split]
    for kind, path in paths.items():
        seed = int(hashlib.sha256(f"{path.stem}".encode()).hexdigest()[:12], 16)
        rng = np.random.default_rng(seed)
        if kind == "original":
            _encode(path, original, "libx264", 16)
            continue
        hops = [kind] if kind != "two_hop" else list(rng.choice(SINGLE[1:], 2, replace=False))
        made = original
        for hop in hops:
            made = make[hop](*made, rng)
        codec = "libx264"
        if make is planting_test.MAKERS:
            codec = str(rng.choice(["libx264", "libx264", "mpeg4", "libvpx-vp9", "libx265"]))
        hard = kind == "reencode"
        _encode(path, made, codec, int(rng.integers(30, 38) if hard else rng.integers(20, 31)))


def _encode(path: Path, made: Made, codec: str, crf: int) -> None:
    pixels, fps = made
    pixels = pixels[:, : pixels.shape[1] // 2 * 2, : pixels.shape[2] // 2 * 2]
    if codec == "libx264":
        with VideoWriter(path, fps=fps, crf=crf) as writer:
            for picture in pixels:
                writer.write(np.ascontiguousarray(picture))
        return
    settings = {
        "mpeg4": {"qscale": str(crf // 3), "flags": "+qscale", "global_quality": str(118 * (crf // 3))},
        "libvpx-vp9": {"crf": str(crf + 6), "b": "0", "cpu-used": "8", "deadline": "realtime"},
        # Not SVT-AV1: run by root, it gives its process real-time priority and starves the machine.
        "libx265": {
            "crf": str(crf + 2),
            "preset": "superfast",
            "x265-params": "log-level=none:pools=none:frame-threads=1",
        },
    }[codec]
    with atomic_path(path) as temporary, av.open(temporary, "w") as out:
        stream = out.add_stream(codec, rate=Fraction(fps).limit_denominator(1001), options=settings)
        assert isinstance(stream, VideoStream), "all codecs here are of video"
        stream.height, stream.width, stream.pix_fmt = pixels.shape[1], pixels.shape[2], "yuv420p"
        for picture in itertools.chain(pixels, [None]):
            frame = None
            if picture is not None:
                frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="rgb24")
            out.mux(stream.encode(frame))
