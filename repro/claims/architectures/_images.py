"""Training images in arrays of the same shape: fewer of them, each repeated, or shifted."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np


def repeated(images: Any, share: float) -> Any:
    """Keep the first part of the training images, and repeat it until there are as many as before.

    Args:
        images: ``ImageData``, whose first training images are of every class alike, as those of a ``subset`` are.
        share: Part of the training images that is kept; all of them for 1.
    """
    size = len(images.y_train)
    chosen = np.resize(np.arange(round(share * size)), size)
    return replace(images, x_train=images.x_train[chosen], y_train=images.y_train[chosen])


def shifted(images: Any) -> Any:
    """Add the training images shifted by a pixel up, down, left and right; zeros come in."""
    return _five_times(images, ((1, 1), (0, 1), (2, 1), (1, 0), (1, 2)))


def unshifted(images: Any) -> Any:
    """Add the training images as they are as often as ``shifted`` adds shifted ones."""
    return _five_times(images, ((1, 1),) * 5)


def _five_times(images: Any, corners: Any) -> Any:
    padded = np.pad(images.x_train, [(0, 0), (1, 1), (1, 1), (0, 0)])
    height, width = images.x_train.shape[1:3]
    copies = [padded[:, row : row + height, column : column + width] for row, column in corners]
    x_train, y_train = np.concatenate(copies), np.tile(images.y_train, len(corners))
    # programs keep room for what held-out images would have added, so that they do for tuning and evaluation
    room = (len(corners) - 1) * len(images.y_test) if images.left_out else 0
    return replace(images, x_train=x_train, y_train=y_train, left_out=images.left_out + room)
