"""Networks whose penalty on weights is a variable, so that all strengths of it have one program."""

from __future__ import annotations

from functools import cache

from etils import epy

with epy.lazy_imports():
    import keras


@cache
def _penalised_dense():
    class PenalisedDense(keras.layers.Dense):
        """A dense layer with penalties on the squares of its kernel and of its bias."""

        def __init__(self, units, *, decay, bias_decay, **options):
            super().__init__(units, **options)
            self.decay_initializer = keras.initializers.Constant(decay)
            self.bias_decay_initializer = keras.initializers.Constant(bias_decay)

        def build(self, shape):
            super().build(shape)
            scalar = {"shape": (), "trainable": False}
            self.decay = self.add_weight(initializer=self.decay_initializer, name="decay", **scalar)
            self.bias_decay = self.add_weight(initializer=self.bias_decay_initializer, name="bias_decay", **scalar)

        def call(self, inputs, training=None):
            of_kernel = keras.ops.sum(keras.ops.square(self.kernel))
            of_bias = keras.ops.sum(keras.ops.square(self.bias))
            self.add_loss(self.decay / 2 * of_kernel + self.bias_decay / 2 * of_bias)
            return super().call(inputs, training=training)

    return PenalisedDense


def penalised_network(*, inputs, outputs, width, statistics, decay=0.0, bias_decay=0.0):
    """Build a network of two hidden ReLU layers with a penalty on its weights.

    Args:
        inputs: Number of inputs.
        outputs: Number of outputs, which are linear.
        width: Units of a hidden layer.
        statistics: Normalisation behind a hidden layer: ``batch`` or ``none``.
        decay: Weight of half the squares of all kernels.
        bias_decay: Weight of half the squares of all biases.
    """
    penalties = {"decay": decay, "bias_decay": bias_decay}
    layers = [keras.Input((inputs,))]
    for _ in range(2):
        layers.append(_penalised_dense()(width, kernel_initializer="he_normal", **penalties))
        if statistics == "batch":
            layers.append(keras.layers.BatchNormalization(momentum=0.9))
        layers.append(keras.layers.ReLU())
    return keras.Sequential([*layers, _penalised_dense()(outputs, **penalties)])
