"""Dense optical flow without weights: OpenCV's DIS (arXiv 1603.03590) at its medium preset."""

import numpy as np

from worldfoundry.core.errors import DataError, require_package

NAME = "opencv-dis-medium"
"""What this estimator is called in results and logs."""
LEAST_SIDE = 16
"""Rows and columns that it needs: OpenCV 5.0 refuses some smaller pictures and dies of others, such as 12 x 64."""


def dis_flow(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """float32 [h, w, 2], columns and rows, pixels: where each pixel of ``first`` is in ``second``, both uint8 [h, w, 3]."""
    if min(first.shape[:2]) < LEAST_SIDE:
        raise DataError(
            f"{NAME} needs {LEAST_SIDE} pixels a side or more, got {first.shape[0]}x{first.shape[1]}; enlarge the pictures"
        )
    cv2 = require_package("cv2", "curate")
    first_gray, second_gray = (cv2.cvtColor(x, cv2.COLOR_RGB2GRAY) for x in (first, second))
    return cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM).calc(first_gray, second_gray, None)
