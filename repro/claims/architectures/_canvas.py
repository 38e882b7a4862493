"""Images placed on larger, dark canvases: shifted, or several on one."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt


def placed(images: npt.NDArray[Any], corners: npt.NDArray[Any], size: int) -> npt.NDArray[np.float32]:
    """Put every image on a canvas of its own.

    Args:
        images: ``[n, height, width, channels]``.
        corners: row and column of each image's first pixel, ``[n, 2]``; the image must fit the canvas.
        size: height and width of the canvas.

    Returns:
        ``[n, size, size, channels]``, zero around the images.
    """
    count, height, width, channels = images.shape
    canvas = np.zeros((count, size, size, channels), np.float32)
    rows = corners[:, 0, None] + np.arange(height)
    columns = corners[:, 1, None] + np.arange(width)
    canvas[np.arange(count)[:, None, None], rows[:, :, None], columns[:, None, :]] = images
    return canvas
