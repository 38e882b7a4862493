"""scikit-learn's handwritten digits as a TensorFlow Datasets builder."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow_datasets as tfds  # not lazy, as the base class comes from it; data.py loads this module late
from etils import epy

with epy.lazy_imports():
    import sklearn.datasets
    import sklearn.model_selection

CLASSES = 10
TEST_EXAMPLES = 360
LARGEST_PIXEL = 16


class Digits(tfds.core.GeneratorBasedBuilder):  # type: ignore[misc]
    """1797 real handwritten digits of 8x8 pixels, 1437 to train and 360 to test on, stratified by class.

    Pixels are stored as numbers from 0 to 1: a tensor feature is written without TensorFlow, an image feature is not.
    """

    VERSION = tfds.core.Version("1.0.0")

    def _info(self) -> Any:
        return tfds.core.DatasetInfo(
            builder=self,
            description="Test part of the optical recognition of handwritten digits data, as scikit-learn contains it.",
            features=tfds.features.FeaturesDict(
                {
                    "image": tfds.features.Tensor(shape=(8, 8, 1), dtype=np.float32),
                    "label": tfds.features.ClassLabel(num_classes=CLASSES),
                }
            ),
            supervised_keys=("image", "label"),
            homepage="https://archive.ics.uci.edu/dataset/80/optical+recognition+of+handwritten+digits",
        )

    def _split_generators(self, dl_manager: Any) -> dict[str, Iterator[tuple[int, dict[str, Any]]]]:
        del dl_manager  # scikit-learn contains the data
        labels = sklearn.datasets.load_digits().target
        train, test = sklearn.model_selection.train_test_split(
            np.arange(len(labels)), test_size=TEST_EXAMPLES, stratify=labels, random_state=0
        )
        return {"train": self._generate_examples(train), "test": self._generate_examples(test)}

    def _generate_examples(self, rows: npt.NDArray[np.int64]) -> Iterator[tuple[int, dict[str, Any]]]:
        digits = sklearn.datasets.load_digits()
        for row in rows:
            image = (digits.images[row, :, :, np.newaxis] / LARGEST_PIXEL).astype(np.float32)
            yield int(row), {"image": image, "label": int(digits.target[row])}
