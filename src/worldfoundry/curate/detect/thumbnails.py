"""Small pictures, about one a second, for pages that show clips."""

from dataclasses import dataclass

import cv2
import numpy as np

from worldfoundry.protocols.curation import Meter, SourceInfo, Timeline, View

EVERY_S = 1.0
"""Seconds between pictures."""
HEIGHT_PX = 96
"""Rows of a picture."""
_QUALITY = 75


@dataclass(frozen=True, slots=True, kw_only=True)
class Detector:
    """Keeps a JPEG a second."""

    name: str = "thumbnails"
    """Key of the timeline."""
    version: int = 1
    """Of the pictures."""

    def begin(self, source: SourceInfo) -> Meter:
        """An empty film strip."""
        del source
        return _Strip()


class _Strip:
    def __init__(self):
        self._seconds: list[float] = []
        self._jpegs: list[bytes] = []

    def observe(self, view: View) -> None:
        if self._seconds and view.seconds - self._seconds[-1] < EVERY_S - 1e-6:
            return
        height, width = view.small.shape[:2]
        size = (max(1, round(width * HEIGHT_PX / height)), HEIGHT_PX)
        small = cv2.resize(view.small, size, interpolation=cv2.INTER_AREA)
        jpeg = cv2.imencode(".jpg", small[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])[1]
        self._seconds.append(view.seconds)
        self._jpegs.append(jpeg.tobytes())

    def finish(self) -> Timeline:
        return {
            "seconds": np.array(self._seconds, np.float64),
            "sizes": np.array([len(j) for j in self._jpegs], np.int32),
            "jpegs": np.frombuffer(b"".join(self._jpegs), np.uint8),
        }


def pictures(timeline: Timeline, start_s: float, end_s: float) -> list[tuple[float, bytes]]:
    """Times and JPEGs of a span; the nearest picture before it where none lies inside."""
    seconds, ends = timeline["seconds"], np.cumsum(timeline["sizes"])
    first, stop = np.searchsorted(seconds, (start_s - 1e-6, end_s - 1e-6))
    if first == stop:
        first = max(0, first - 1)
        stop = min(len(seconds), first + 1)
    begins = ends - timeline["sizes"]
    return [(float(seconds[k]), timeline["jpegs"][begins[k] : ends[k]].tobytes()) for k in range(first, stop)]
