"""Keras models as XLA programs: whole training runs of many replicas, searches, probes of layers, and data.

``train`` trains, ``classifier`` prepares an arm of a comparison, ``tune`` searches hyperparameters, ``probe`` looks at
untrained networks, ``load_data`` brings images, and ``backend`` has the few operations that differ between TensorFlow
and JAX.
"""

from repro.engine import backend
from repro.engine.arms import classifier, compare_arms, join_tables
from repro.engine.compilation_cache import WITHOUT_CACHE
from repro.engine.data import DIGITS, ImageData, corrupt_labels, load_data
from repro.engine.networks import convolution, mlp, residual_network
from repro.engine.probing import probe
from repro.engine.replicas import build_seeded
from repro.engine.training import Record, Training, train
from repro.engine.tuning import Arm, Tuning, tune

__all__ = [
    "DIGITS",
    "WITHOUT_CACHE",
    "Arm",
    "ImageData",
    "Record",
    "Training",
    "Tuning",
    "backend",
    "build_seeded",
    "classifier",
    "compare_arms",
    "convolution",
    "corrupt_labels",
    "join_tables",
    "load_data",
    "mlp",
    "probe",
    "residual_network",
    "train",
    "tune",
]
