"""Keras layers and models that several claims share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

from etils import epy

from repro.common import ReproError

with epy.lazy_imports():
    import keras


def mlp(
    *,
    inputs: int,
    outputs: int,
    widths: Sequence[int] = (64, 64),
    activation: str = "relu",
    initializer: str | Mapping[str, Any] = "glorot_uniform",
    dropout: float = 0.0,
) -> Any:
    """Build a fully connected network with linear outputs.

    Args:
        inputs: Number of input features.
        outputs: Number of outputs.
        widths: Numbers of units of the hidden layers.
        activation: Activation of the hidden layers, any that Keras knows.
        initializer: Initialiser of all kernels, a name or a configuration; an instance would give equal layers equal
            weights.
        dropout: Probability of dropping a hidden unit; no dropout layers where it is zero.
    """
    layers: list[Any] = [keras.Input((inputs,))]
    for width in widths:
        layers.append(keras.layers.Dense(width, activation=activation, kernel_initializer=initializer))
        if dropout:
            layers.append(keras.layers.Dropout(dropout))
    return keras.Sequential([*layers, keras.layers.Dense(outputs, kernel_initializer=initializer)])


def residual_network(
    *,
    shape: tuple[int, int, int],
    classes: int,
    depth: int = 20,
    width: int = 16,
    shortcut: float = 1.0,
    momentum: float = 0.9,
) -> Any:
    """Build the network of He et al. 2016, section 4.2, with its parameter-free shortcuts (option A).

    Three stages of ``(depth - 2) / 6`` blocks of two 3x3 convolutions with batch normalisation; the later stages halve
    the image and double the channels. With shortcuts scaled to zero it is the plain network of the same paper, with the
    same variables in the same order.

    Args:
        shape: Height, width and channels of the images.
        classes: Number of classes; the outputs are logits.
        depth: Number of layers with weights; 8, 14, 20, and so on.
        width: Channels of the first stage.
        shortcut: Factor on the shortcuts.
        momentum: Momentum of the moving averages of batch normalisation.

    Raises:
        ReproError: no network has this depth.
    """
    blocks, rest = divmod(depth - 2, 6)
    if blocks < 1 or rest:
        raise ReproError(f"a residual network of two-layer blocks in three stages has 6n + 2 layers, not {depth}")
    inputs = keras.Input(shape)
    x = _normalized_convolution(inputs, width, momentum=momentum)
    x = keras.layers.ReLU()(x)
    for stage in range(3):
        channels = width * 2**stage
        for block in range(blocks):
            strides = 2 if stage and not block else 1
            y = _normalized_convolution(x, channels, strides=strides, momentum=momentum)
            y = keras.layers.ReLU()(y)
            y = _normalized_convolution(y, channels, momentum=momentum)
            if shortcut:
                y = keras.layers.Add()([y, _shortcut(x, channels, strides, shortcut)])
            x = keras.layers.ReLU()(y)
    x = keras.layers.GlobalAveragePooling2D()(x)
    return keras.Model(inputs, keras.layers.Dense(classes)(x))


def convolution(filters: int, kernel_size: int, **options: Any) -> Any:
    """Make a Keras convolution that is fast inside a compiled loop on CPU.

    Args:
        filters: Number of output channels.
        kernel_size: Height and width of the window.
        **options: Options of ``keras.layers.Conv2D``, except ``groups`` and ``dilation_rate``.
    """
    return _patch_convolution()(filters, kernel_size, **options)


def _normalized_convolution(x: Any, filters: int, *, strides: int = 1, momentum: float) -> Any:
    x = convolution(filters, 3, strides=strides, padding="same", use_bias=False, kernel_initializer="he_normal")(x)
    return keras.layers.BatchNormalization(momentum=momentum)(x)


def _shortcut(x: Any, channels: int, strides: int, scale: float) -> Any:
    if strides > 1:
        x = keras.layers.AveragePooling2D(1, strides=strides)(x)
    if x.shape[-1] < channels:
        x = _zero_channels()(channels - x.shape[-1])(x)
    return x if scale == 1 else keras.layers.Rescaling(scale)(x)


@cache
def _zero_channels() -> Any:
    class ZeroChannels(keras.layers.Layer):  # type: ignore[misc]
        """Layer that appends channels of zeros."""

        def __init__(self, channels: int, **options: Any) -> None:
            super().__init__(**options)
            self.channels = channels

        def call(self, inputs: Any) -> Any:
            return keras.ops.pad(inputs, [(0, 0), (0, 0), (0, 0), (0, self.channels)])

    return ZeroChannels


@cache
def _patch_convolution() -> Any:
    class PatchConvolution2D(keras.layers.Conv2D):  # type: ignore[misc]
        """A convolution as shifted slices and one matrix product.

        Inside an XLA loop on CPU this is three to eight times as fast as the convolution itself, whose fast kernel XLA
        does not use there (jax-ml/jax issue 12868).
        """

        def convolution_op(self, inputs: Any, kernel: Any) -> Any:
            height, width = inputs.shape[1:3]
            rows, columns, channels, filters = kernel.shape
            sizes, pads = [], []
            for length, window, stride in zip((height, width), (rows, columns), self.strides, strict=True):
                size = -(-length // stride) if self.padding == "same" else (length - window) // stride + 1
                total = max((size - 1) * stride + window - length, 0)
                pads.append((total // 2, total - total // 2))
                sizes.append(size)
            padded = keras.ops.pad(inputs, [(0, 0), *pads, (0, 0)])
            slices = [
                padded[
                    :,
                    row : row + (sizes[0] - 1) * self.strides[0] + 1 : self.strides[0],
                    column : column + (sizes[1] - 1) * self.strides[1] + 1 : self.strides[1],
                ]
                for row in range(rows)
                for column in range(columns)
            ]
            patches = keras.ops.concatenate(slices, axis=-1)
            return keras.ops.matmul(patches, keras.ops.reshape(kernel, (rows * columns * channels, filters)))

    return PatchConvolution2D
