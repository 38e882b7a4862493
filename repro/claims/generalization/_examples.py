"""Examples of Trunk's problem: two classes, and features that tell ever less of them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from repro.engine import ImageData


@dataclass(frozen=True)
class FewExamples:
    """Draws the examples of a seed, the same for any number of features in use.

    Attributes:
        used: Number of features in use; the others are noughts.
        features: Number of features.
        examples: Number of training examples, as many of either class.
        tests: Number of test examples.
        first: Number of features after which the mean does not fall further, if the decay is nought.
        decay: Exponent by which the means of the classes fall with the number of the feature; nought for features that
            are all as strong as the ``first``.
    """

    used: int
    features: int
    examples: int
    tests: int
    first: int
    decay: float

    def __call__(self, seed: int) -> ImageData:
        """Draw the examples of a seed."""
        generator = np.random.default_rng((seed, 7))
        number = self.examples + self.tests
        labels = np.arange(number) % 2
        means = self.first**-0.5 * (np.arange(1, self.features + 1) / self.first) ** -self.decay
        x = np.where(labels, 1.0, -1.0)[:, None] * means + generator.normal(size=(number, self.features))
        x[:, self.used :] = 0.0
        inputs, classes = x.astype(np.float32), labels.astype(np.int32)
        few, rest = slice(self.examples), slice(self.examples, None)
        return ImageData("two classes", 2, inputs[few], classes[few], inputs[rest], classes[rest])
