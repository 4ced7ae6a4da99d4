"""Small pictures of each clip for the report, kept while the frames pass by."""

import base64
from bisect import bisect_left
from dataclasses import dataclass, field

import cv2
import numpy as np

_EVERY_SECONDS = 0.5
_HEIGHT_PX = 96
_SHARES = (0.1, 0.5, 0.9)


@dataclass
class Filmstrip:
    """A JPEG every half second."""

    seconds: list[float] = field(default_factory=list)
    """Time of each picture."""
    pictures: list[np.ndarray] = field(default_factory=list)
    """JPEG bytes of each."""

    def observe(self, pixels: np.ndarray, seconds: float) -> None:
        """Keep the frame if the last kept one is half a second old."""
        if self.seconds and seconds - self.seconds[-1] < _EVERY_SECONDS - 1e-3:
            return
        height, width = pixels.shape[:2]
        size = (max(1, round(width * _HEIGHT_PX / height)), _HEIGHT_PX)
        small = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)
        _, data = cv2.imencode(".jpg", small[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 80])
        self.seconds.append(seconds)
        self.pictures.append(data)

    def strip(self, start_seconds: float, end_seconds: float) -> str:
        """Three moments of a span side by side, as a base64 JPEG; empty if nothing was seen."""
        if not self.seconds:
            return ""
        first = bisect_left(self.seconds, start_seconds - 1e-6)
        last = max(first, bisect_left(self.seconds, end_seconds - 1e-6) - 1)
        picks = sorted({min(round(first + (last - first) * s), len(self.seconds) - 1) for s in _SHARES})
        decoded = [cv2.imdecode(self.pictures[k], cv2.IMREAD_COLOR) for k in picks]
        row = np.hstack([picture for picture in decoded if picture is not None])
        _, data = cv2.imencode(".jpg", row, [cv2.IMWRITE_JPEG_QUALITY, 80])
        return base64.b64encode(data.tobytes()).decode()
