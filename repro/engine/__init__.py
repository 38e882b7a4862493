"""Keras models as XLA programs: whole training runs of many replicas, searches, probes of layers, and data.

``train`` trains, ``classifier`` prepares an arm of a comparison, ``tune`` searches hyperparameters, ``probe`` looks at
untrained networks, ``load_data`` brings images, ``baselines`` has what generators and saliency maps must beat, and
``backend`` the few operations that differ between TensorFlow and JAX. ``keyed`` and ``keyed_network`` find what was
compiled before.
"""

from repro.engine import backend
from repro.engine.arms import classifier, compare_arms, horizons, join_tables
from repro.engine.baselines import (
    constant_map,
    decoded_prior_noise,
    fitted_gaussian,
    fresh_real,
    mean_plus_noise,
    shuffled_map,
)
from repro.engine.compilation_cache import WITHOUT_CACHE
from repro.engine.data import DIGITS, ImageData, corrupt_labels, load_data
from repro.engine.identity import Keyed, keyed, keyed_network
from repro.engine.initial_values import build_seeded, undrawn
from repro.engine.networks import convolution, mlp, residual_network
from repro.engine.probing import probe
from repro.engine.training import Record, Training, train
from repro.engine.tuning import Arm, Tuning, ValidatedArm, Validation, tune

__all__ = [
    "DIGITS",
    "WITHOUT_CACHE",
    "Arm",
    "ImageData",
    "Keyed",
    "Record",
    "Training",
    "Tuning",
    "ValidatedArm",
    "Validation",
    "backend",
    "build_seeded",
    "classifier",
    "compare_arms",
    "constant_map",
    "convolution",
    "corrupt_labels",
    "decoded_prior_noise",
    "fitted_gaussian",
    "fresh_real",
    "horizons",
    "join_tables",
    "keyed",
    "keyed_network",
    "load_data",
    "mean_plus_noise",
    "mlp",
    "probe",
    "residual_network",
    "shuffled_map",
    "train",
    "tune",
    "undrawn",
]
