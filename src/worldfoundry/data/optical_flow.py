"""Dense optical flow without weights: OpenCV's DIS (arXiv 1603.03590) at its medium preset."""

import numpy as np

from worldfoundry.core.errors import require_package

NAME = "opencv-dis-medium"
"""What this estimator is called in results and logs."""


def dis_flow(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """float32 [h, w, 2], columns and rows, pixels: where each pixel of ``first`` is in ``second``, both uint8 [h, w, 3]."""
    cv2 = require_package("cv2", "curate")
    first_gray, second_gray = (cv2.cvtColor(x, cv2.COLOR_RGB2GRAY) for x in (first, second))
    return cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM).calc(first_gray, second_gray, None)
