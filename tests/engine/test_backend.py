"""The backend functions against Python loops, closed forms and Keras' own optimisers; both backends run them all."""

import importlib.util
import os
import subprocess
import sys

import keras
import numpy as np
import pytest

from repro.common.errors import ReproError, TrainingError
from repro.engine import backend


def numbers(tensor):
    return keras.ops.convert_to_numpy(tensor)


def test_a_scan_is_a_loop_over_rows():
    rows = np.random.default_rng(0).normal(size=(7, 3)).astype(np.float32)

    def step(state, row):
        total, count = state
        return (total + row, count + 1), {"product": total * row, "sum": keras.ops.sum(row)}

    like = {"product": keras.ops.zeros(3), "sum": keras.ops.zeros(())}
    scanned = backend.compile_function(
        lambda rows: backend.scan(step, (keras.ops.zeros(3), keras.ops.zeros(())), rows, like)
    )
    (total, count), outputs = scanned(rows)

    before = np.cumsum(rows, axis=0) - rows
    np.testing.assert_allclose(numbers(total), rows.sum(axis=0), rtol=1e-5)
    assert numbers(count) == 7
    np.testing.assert_allclose(numbers(outputs["product"]), before * rows, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(numbers(outputs["sum"]), rows.sum(axis=1), rtol=1e-5)


def test_scans_nest_and_take_nested_inputs():
    scale = np.arange(1, 4, dtype=np.float32)
    blocks = np.arange(12, dtype=np.float32).reshape(3, 4)

    def outer(state, row):
        factor, block = row
        state, _ = backend.scan(lambda total, value: (total + factor * value, ()), state, block)
        return state, state

    scanned = backend.compile_function(
        lambda scale, blocks: backend.scan(outer, keras.ops.zeros(()), (scale, blocks), keras.ops.zeros(()))
    )
    total, totals = scanned(scale, blocks)

    expected = np.cumsum(scale * blocks.sum(axis=1))
    np.testing.assert_allclose(numbers(totals), expected)
    np.testing.assert_allclose(numbers(total), expected[-1])


@pytest.mark.parametrize("compiled", [False, True])
def test_the_gradient_of_a_quadratic_form_is_known_and_that_of_an_unused_value_is_zero(compiled):
    generator = np.random.default_rng(1)
    matrix = generator.normal(size=(4, 4)).astype(np.float32)
    vector = generator.normal(size=4).astype(np.float32)

    def quadratic(values, matrix):
        x, _ = values
        return keras.ops.sum(x * keras.ops.matmul(matrix, x)), {"twice": 2 * x}

    def differentiate(vector, unused, matrix):
        return backend.value_and_gradient(quadratic, [vector, unused], matrix)

    differentiate = backend.compile_function(differentiate) if compiled else differentiate
    value, auxiliary, gradient = differentiate(
        keras.ops.convert_to_tensor(vector), keras.ops.ones((2, 3)), keras.ops.convert_to_tensor(matrix)
    )

    np.testing.assert_allclose(numbers(value), vector @ matrix @ vector, rtol=1e-5)
    np.testing.assert_allclose(numbers(auxiliary["twice"]), 2 * vector)
    np.testing.assert_allclose(numbers(gradient[0]), (matrix + matrix.T) @ vector, rtol=1e-5)
    np.testing.assert_array_equal(numbers(gradient[1]), np.zeros((2, 3)))


OPTIMIZERS = {
    "sgd": lambda: keras.optimizers.SGD(0.1),
    "clipped": lambda: keras.optimizers.SGD(0.1, clipnorm=0.5),
    "decayed": lambda: keras.optimizers.SGD(0.1, momentum=0.9, weight_decay=0.1),
    "adam": lambda: keras.optimizers.Adam(0.1),
    "nadam": lambda: keras.optimizers.Nadam(0.1),
    "lion": lambda: keras.optimizers.Lion(0.1),
    "scheduled": lambda: keras.optimizers.SGD(keras.optimizers.schedules.ExponentialDecay(0.1, 1, 0.5)),
}


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_functional_optimizer_takes_the_steps_of_the_optimizer(name):
    optimizer = OPTIMIZERS[name]()
    generator = np.random.default_rng(2)
    start = [generator.normal(size=shape).astype(np.float32) for shape in ((3, 2), (2,))]
    gradients = [[generator.normal(size=value.shape).astype(np.float32) for value in start] for _ in range(4)]

    applied = [keras.Variable(value) for value in start]
    optimizer.build(applied)
    for gradient in gradients:
        optimizer.apply([keras.ops.convert_to_tensor(part) for part in gradient])

    functional = backend.make_functional(optimizer)
    functional.build([keras.Variable(value) for value in start])
    values = [keras.ops.convert_to_tensor(value) for value in start]
    state = [keras.ops.convert_to_tensor(variable.numpy()) for variable in functional.variables]
    step = backend.compile_function(functional.stateless_apply)
    for gradient in gradients:
        values, state = step(state, [keras.ops.convert_to_tensor(part) for part in gradient], values)

    for variable, value in zip(applied, values, strict=True):
        np.testing.assert_allclose(numbers(value), variable.numpy(), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("option", [{"use_ema": True}, {"gradient_accumulation_steps": 2}])
def test_an_optimizer_that_keras_cannot_make_functional_is_an_error(option):
    with pytest.raises(TrainingError, match=f"'SGD' cannot be used with {next(iter(option))}"):
        backend.make_functional(keras.optimizers.SGD(**option, name="SGD"))


def test_what_is_compiled_quickly_computes_the_same():
    matrix = np.random.default_rng(0).normal(size=(7, 7)).astype("float32")

    def function(x):
        return keras.ops.tanh(keras.ops.matmul(x, x)), keras.ops.sum(x)

    thorough, quick = backend.compile_function(function)(matrix), backend.compile_quickly(function)(matrix)
    for left, right in zip(thorough, quick, strict=True):
        np.testing.assert_allclose(left, right, rtol=1e-6)


def test_numbers_have_full_single_precision():
    generator = np.random.default_rng(3)
    left, right = (generator.normal(size=(64, 64)).astype(np.float32) for _ in range(2))
    product = backend.compile_function(keras.ops.matmul)(left, right)
    # TensorFloat-32 keeps ten bits: errors of about 1e-3
    np.testing.assert_allclose(numbers(product), left.astype(float) @ right, atol=1e-4)


def python(code, **variables):
    environment = {**os.environ, "KERAS_BACKEND": backend.name(), **variables}
    return subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False)


def test_linear_algebra_has_one_thread_whenever_its_library_is_loaded():
    done = python(
        "import numpy\n"
        "from repro.engine import backend\n"
        "backend.configure()\n"
        "import scipy.linalg, sklearn.svm, threadpoolctl\n"
        "print({library['num_threads'] for library in threadpoolctl.threadpool_info()})"
    )
    assert done.stdout.strip() == "{1}", done.stderr


def another_backend():
    return next(other for other in backend.BACKENDS if other != keras.backend.backend())


def test_a_backend_that_is_not_installed_is_an_error(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    other = another_backend()
    with pytest.raises(ReproError, match=rf"{other} backend is not installed; pip install 'keras-repro\[{other}\]'"):
        backend.select(other)


def test_keras_does_not_change_backends(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: True)
    other = another_backend()
    with pytest.raises(ReproError, match=f"Keras runs on {keras.backend.backend()} already; set KERAS_BACKEND={other}"):
        backend.select(other)


def test_select_sets_the_variable_that_keras_reads(monkeypatch):
    monkeypatch.delenv("KERAS_BACKEND", raising=False)
    backend.select(keras.backend.backend())
    assert backend.name() == keras.backend.backend()


def test_an_unknown_backend_is_an_error():
    with pytest.raises(ReproError, match="no backend 'numpy'; backends are tensorflow, jax"):
        backend.select("numpy")


def test_a_backend_of_the_environment_that_is_not_supported_is_an_error(monkeypatch):
    monkeypatch.setenv("KERAS_BACKEND", "torch")
    with pytest.raises(ReproError, match="KERAS_BACKEND=torch is not supported; use tensorflow or jax"):
        backend.name()


def test_without_a_choice_the_first_installed_backend_is_taken(monkeypatch):
    monkeypatch.delenv("KERAS_BACKEND", raising=False)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: name == "jax" or None)
    assert backend.name() == "jax"


def test_without_any_backend_the_remedy_is_told(monkeypatch):
    monkeypatch.delenv("KERAS_BACKEND", raising=False)
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    with pytest.raises(ReproError, match="no backend is installed; pip install"):
        backend.name()


@pytest.mark.skipif(backend.name() != "tensorflow", reason="JAX has no limit that could come too late")
def test_tensorflow_that_has_run_with_several_threads_is_an_error():
    done = python("import tensorflow\ntensorflow.zeros(1)\nfrom repro.engine import backend\nbackend.configure()")
    assert "TensorFlow has run already with several threads" in done.stderr
