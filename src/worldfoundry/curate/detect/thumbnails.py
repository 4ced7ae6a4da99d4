"""Small pictures, about one a second, for pages that show clips."""

from dataclasses import dataclass

import cv2
import numpy as np

from worldfoundry.curate.detect.rows import Rows
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
        self._last_s = -np.inf
        self._seconds, self._sizes, self._jpegs = Rows(np.float64), Rows(np.int32), Rows(np.uint8)

    def observe(self, view: View) -> None:
        if view.seconds - self._last_s < EVERY_S - 1e-6:
            return
        height, width = view.small.shape[:2]
        size = (max(1, round(width * HEIGHT_PX / height)), HEIGHT_PX)
        small = cv2.resize(view.small, size, interpolation=cv2.INTER_AREA)
        jpeg = cv2.imencode(".jpg", small[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])[1]
        self._last_s = view.seconds
        self._seconds.append(view.seconds)
        self._sizes.append(len(jpeg))
        self._jpegs.extend(jpeg)

    def finish(self) -> Timeline:
        return {
            "seconds": self._seconds.array(),
            "sizes": self._sizes.array(),
            "jpegs": self._jpegs.array(),
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
