"""How activations and gradients change from layer to layer of a network."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Sequence
from typing import Any

from etils import epy

from repro.common import TrainingError
from repro.engine import backend

with epy.lazy_imports():
    import keras

STATISTICS = ("mean", "variance", "second_moment", "active", "dead", "gradient", "weight_gradient")


def observed(model: Any) -> list[Any]:
    """List the layers and operations of a network whose output is one tensor, in the order in which they are called.

    Raises:
        TrainingError: the model is neither sequential nor functional.
    """
    return [operation for operation, _ in _outputs(model, 1)]


def names(operations: Sequence[Any]) -> list[str]:
    """Name the layers and operations of a network.

    Names that Keras makes have numbers that count what was built before in this process; here they count within the
    network, so that equal networks have equal names.
    """
    numbers: Counter[str] = Counter()
    found: dict[int, str] = {}
    for operation in operations:
        kind = _snake_case(type(operation).__name__)
        if id(operation) in found:
            continue
        found[id(operation)] = operation.name
        if re.fullmatch(rf"{kind}(_\d+)?", operation.name):
            found[id(operation)] = f"{kind}_{numbers[kind]}" if numbers[kind] else kind
            numbers[kind] += 1
    return [found[id(operation)] for operation in operations]


def values_per_example(model: Any) -> int | None:
    """Count the values that all layers output for one example; None for a model neither sequential nor functional."""
    try:
        sizes: list[int] = [math.prod(output.shape[1:]) for _, output in _outputs(model, 1)]
    except TrainingError:
        return None
    return sum(sizes)


def statistics(model: Any, loss: Any, trainable: Sequence[Any], non_trainable: Sequence[Any], x: Any, y: Any) -> Any:
    """Measure all layers in inference mode.

    Args:
        model: Sequential or functional model.
        loss: Function of targets and outputs, whose mean is differentiated.
        trainable: Values in the order of ``model.trainable_variables``.
        non_trainable: Values in the order of ``model.non_trainable_variables``.
        x: Inputs, [examples, ...].
        y: Targets, [examples, ...].

    Returns:
        For each of ``STATISTICS`` a tensor of shape [layers]. Over examples and units of a layer's output: ``mean``,
        ``variance``, ``second_moment``, and the share ``active`` of positive ones; over units, the last axis: the share
        ``dead``, which are positive for no example. ``gradient`` is the Euclidean norm of the loss's gradient with
        respect to the output, ``weight_gradient`` that with respect to the layer's own weights, NaN where it has none.
    """
    outputs_like = _outputs(model, x.shape[0])

    def objective(values: Any) -> tuple[Any, Any]:
        shifts, weights = values[: len(outputs_like)], values[len(outputs_like) :]
        mapping = [*zip(model.trainable_variables, weights, strict=True)]
        mapping += zip(model.non_trainable_variables, non_trainable, strict=True)
        with keras.StatelessScope(state_mapping=mapping):
            result, outputs = _shifted(model, x, shifts)
        return keras.ops.mean(loss(y, result)), outputs

    shifts = [keras.ops.zeros(like.shape, dtype=like.dtype) for _, like in outputs_like]
    _, outputs, gradients = backend.value_and_gradient(objective, [*shifts, *trainable])
    by_weight = dict(zip(map(id, model.trainable_variables), gradients[len(shifts) :], strict=True))
    layers = [operation for operation, _ in outputs_like]
    measured = {
        "mean": [keras.ops.mean(output) for output in outputs],
        "variance": [keras.ops.var(output) for output in outputs],
        "second_moment": [keras.ops.mean(keras.ops.square(output)) for output in outputs],
        "active": [_share(output > 0) for output in outputs],
        "dead": [_share(_never_positive(output)) for output in outputs],
        "gradient": [_squared_norm([gradient]) for gradient in gradients[: len(shifts)]],
        "weight_gradient": [
            _squared_norm([by_weight[id(weight)] for weight in getattr(layer, "trainable_weights", [])])
            for layer in layers
        ],
    }
    stacked = {
        name: keras.ops.stack([keras.ops.cast(value, "float64") for value in values])
        for name, values in measured.items()
    }
    # one root of all: TensorFlow takes ten milliseconds to lower each
    return stacked | {name: keras.ops.sqrt(stacked[name]) for name in ("gradient", "weight_gradient")}


def _snake_case(name: str) -> str:
    return re.sub(r"([a-z])([A-Z])", r"\1_\2", re.sub(r"(.)([A-Z][a-z]+)", r"\1_\2", name)).lower()


def _graph(model: Any) -> Any:
    graph = model._functional if isinstance(model, keras.Sequential) else model
    if not isinstance(graph, keras.Function):
        raise TrainingError(f"model {model.name!r} must be sequential or functional for its layers to be observed")
    return graph


def _outputs(model: Any, examples: int) -> list[tuple[Any, Any]]:
    """List operations with the shapes and dtypes of their outputs, each one tensor."""
    graph, outputs = _graph(model), []

    def recording(operation: Any) -> Any:
        def call(*arguments: Any, **options: Any) -> Any:
            output = operation.compute_output_spec(*arguments, **options)
            if _is_floating(output):
                outputs.append((operation, output))
            return output

        return call

    inputs = [keras.KerasTensor((examples, *like.shape[1:]), dtype=like.dtype) for like in graph.inputs]
    graph._run_through_graph(inputs, operation_fn=recording)
    return outputs


def _shifted(model: Any, x: Any, shifts: Sequence[Any]) -> tuple[Any, list[Any]]:
    """Call a model with something added to the output of every layer; return its output and those of the layers."""
    outputs: list[Any] = []

    def shifting(operation: Any) -> Any:
        def call(*arguments: Any, **options: Any) -> Any:
            output = operation(*arguments, **options)
            if _is_floating(output):
                output = output + shifts[len(outputs)]
                outputs.append(output)
            return output

        return call

    return _graph(model)._run_through_graph(x, operation_fn=shifting), outputs


def _is_floating(output: Any) -> bool:
    return hasattr(output, "dtype") and keras.backend.is_float_dtype(keras.backend.standardize_dtype(output.dtype))


def _never_positive(output: Any) -> Any:
    return keras.ops.max(keras.ops.reshape(output, (-1, output.shape[-1])), axis=0) <= 0


def _share(condition: Any) -> Any:
    return keras.ops.mean(keras.ops.cast(condition, "float32"))


def _squared_norm(gradients: Sequence[Any]) -> Any:
    """Sum squares in double precision; those of gradients that have vanished to 1e-20 underflow in single precision."""
    if not gradients:
        return keras.ops.convert_to_tensor(float("nan"))
    return sum(keras.ops.sum(keras.ops.square(keras.ops.cast(one, "float64"))) for one in gradients)
