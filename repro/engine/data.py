"""Image classification data through TensorFlow Datasets, with or without TensorFlow.

The default is scikit-learn's digits, which needs no network. Every other data set has a name of TensorFlow Datasets and
lies in its folder: that of the environment variable ``TFDS_DATA_DIR``, else ``~/tensorflow_datasets``.
"""

from __future__ import annotations

import contextlib
import difflib
import importlib.util
import io
import os
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import numpy.typing as npt
import pandas as pd
from etils import epy

from repro.common import DataUnavailableError, ReproError, first_line, paths

with epy.lazy_imports():
    import filelock
    import requests
    import tensorflow_datasets as tfds

    from repro.engine import digits

Floats = npt.NDArray[np.float32]
Labels = npt.NDArray[np.int32]

DIGITS = "digits"
FILE_FORMAT = "array_record"  # the one that is read without TensorFlow
CONNECTION_TIMEOUT = 10.0  # seconds
# Streams of random numbers of their own: independent of what else a seed decides.
SUBSET_STREAM, NOISE_STREAM, HELD_OUT_STREAM = 1, 2, 3


@dataclass(frozen=True, eq=False)
class ImageData:
    """Images with classes, in fixed training and test splits.

    Attributes:
        name: Name of the data set.
        classes: Number of classes.
        x_train: Images to train on, ``[n, height, width, channels]``, pixels from 0 to 1.
        y_train: Classes of the training images, ``[n]``, from 0.
        x_test: Images to test on.
        y_test: Classes of the test images.
        left_out: Number of test images that were replaced by others; programs keep room for them, so that they do for
            both.
    """

    name: str
    classes: int
    x_train: Floats
    y_train: Labels
    x_test: Floats
    y_test: Labels
    left_out: int = 0

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of one example."""
        return self.x_train.shape[1:]

    def flat(self) -> ImageData:
        """Return every image as a vector: ``x`` of shape ``[n, height * width * channels]``."""
        return replace(
            self,
            x_train=self.x_train.reshape(len(self.x_train), -1),
            x_test=self.x_test.reshape(len(self.x_test), -1),
        )

    def standardized(self) -> ImageData:
        """Shift and scale every pixel to zero mean and unit variance over the training images.

        A pixel that is the same in all training images becomes zero.
        """
        mean = self.x_train.mean(axis=0, dtype=np.float64).astype(np.float32)
        deviation = np.sqrt(np.square(self.x_train - mean).mean(axis=0, dtype=np.float64)).astype(np.float32)
        scale = np.divide(1, deviation, out=np.zeros_like(deviation), where=deviation > 0)
        return replace(self, x_train=(self.x_train - mean) * scale, x_test=(self.x_test - mean) * scale)

    def subset(self, size: int, seed: int) -> ImageData:
        """Keep some of the training images: of every class the same number, give or take one, as far as it has them.

        Args:
            size: Number of training images.
            seed: Seed of the choice. A smaller subset of the same seed is contained in a larger one.

        Raises:
            ReproError: there are not as many.
        """
        if not 1 <= size <= len(self.y_train):
            raise ReproError(f"{self.name} has {len(self.y_train)} training images, {size} were asked for")
        order = np.random.default_rng((seed, SUBSET_STREAM)).permutation(len(self.y_train))
        turn = pd.Series(self.y_train[order]).groupby(self.y_train[order]).cumcount().to_numpy()
        chosen = order[np.argsort(turn, kind="stable")][:size]
        return replace(self, x_train=self.x_train[chosen], y_train=self.y_train[chosen])

    def held_out(self, share: float, seed: int) -> ImageData:
        """Hold out some of the training images in place of the test images, which are left out.

        Args:
            share: Share of the training images: ``round(share * n)`` of ``n``, of every class the same share, give or
                take one.
            seed: Seed of the choice.

        Returns:
            Data with the held-out images to test on and the other training images, in their order, to train on.

        Raises:
            ReproError: nothing would be held out, or nothing left to train on.

        Example:
            >>> digits = load_data("digits").held_out(0.2, seed=0)
            >>> len(digits.y_train), len(digits.y_test)
            (1150, 287)
        """
        images = len(self.y_train)
        size = round(share * images) if 0 < share < 1 else 0
        if not 0 < size < images:
            raise ReproError(f"a share of {share} of {images} training images cannot be held out; choose another share")
        order = np.random.default_rng((seed, HELD_OUT_STREAM)).permutation(images)
        classes = pd.Series(self.y_train[order]).groupby(self.y_train[order])
        turn = (classes.cumcount() + 0.5) / classes.transform("size")
        held = np.zeros(images, bool)
        held[order[np.argsort(turn.to_numpy(), kind="stable")][:size]] = True
        return replace(
            self,
            x_train=self.x_train[~held],
            y_train=self.y_train[~held],
            x_test=self.x_train[held],
            y_test=self.y_train[held],
            left_out=self.left_out + len(self.y_test),
        )

    def with_label_noise(self, share: float, seed: int) -> ImageData:
        """Replace some labels of the training images by wrong ones, see ``corrupt_labels``.

        Example:
            >>> digits = load_data("digits")
            >>> noisy = [digits.subset(300, seed).with_label_noise(0.2, seed) for seed in (0, 1)]
            >>> [len(images.y_train) for images in noisy]
            [300, 300]
        """
        return replace(self, y_train=corrupt_labels(self.y_train, self.classes, share, seed))


def corrupt_labels(labels: npt.NDArray[np.integer[Any]], classes: int, share: float, seed: int) -> Labels:
    """Replace some labels by wrong ones.

    Args:
        labels: Classes from 0, ``[n]``.
        classes: Number of classes.
        share: Share of the labels to replace: ``round(share * n)`` labels become another class, each equally likely.
        seed: Seed of the choice.

    Raises:
        ReproError: the share is no share, or there is no other class.
    """
    if not 0 <= share <= 1 or classes < 2:
        raise ReproError(f"label noise takes a share from 0 to 1 and at least two classes, not {share} and {classes}")
    generator = np.random.default_rng((seed, NOISE_STREAM))
    replaced = generator.permutation(len(labels))[: round(share * len(labels))]
    noisy = labels.astype(np.int32)
    noisy[replaced] = (noisy[replaced] + generator.integers(1, classes, len(replaced))) % classes
    return noisy


def load_data(name: str = DIGITS) -> ImageData:
    """Load a data set, once in a process.

    Args:
        name: Name of the data set: ``digits``, or an image classification data set of TensorFlow Datasets such as
            ``mnist``, ``fashion_mnist``, ``cifar10`` or ``emnist/letters``. It is downloaded and prepared where it is
            missing.

    Returns:
        The data set; its test images are the validation images where there are no others. The arrays are read-only.

    Raises:
        DataUnavailableError: the data set is missing and cannot be downloaded and prepared, or not be read, here.
        ReproError: there is no such data set, or it does not classify images of one size.
    """
    return _load(name, paths.expanded(Path(os.environ.get("TFDS_DATA_DIR") or "~/tensorflow_datasets")))


@cache
def _load(name: str, folder: Path) -> ImageData:
    with _quiet():
        if name != DIGITS:
            with _readable(name, folder):
                return _read(name, _prepared(name, folder))
        # Preparing takes a fraction of a second. A folder of its own cannot be read-only, or half written by another.
        with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as own_folder:
            builder = digits.Digits(data_dir=own_folder)
            builder.download_and_prepare(file_format=FILE_FORMAT)
            return _read(name, builder)


def _prepared(name: str, folder: Path) -> Any:
    builder = _find(name, folder)
    _keys(name, builder)
    if not builder.is_prepared():
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with filelock.FileLock(folder / f"{builder.name}.lock"):  # several workers want the same data set at once
                if not _find(name, folder).is_prepared():
                    _prepare(name, builder, folder)
        except OSError as error:
            raise _unavailable(name, folder, first_line(error)) from error
    return _find(name, folder)  # another process may have prepared it after the builder looked for its splits


def _find(name: str, folder: Path) -> Any:
    try:
        return tfds.builder(name, data_dir=str(folder))
    except tfds.core.DatasetNotFoundError as error:
        known = {DIGITS, *tfds.list_builders(with_community_datasets=False)}
        nearest = difflib.get_close_matches(name, sorted(known), n=3) or [DIGITS, "mnist", "cifar10"]
        raise ReproError(f"no data set {name!r}; try {', '.join(nearest)}") from error
    except (ValueError, AssertionError, ImportError) as error:  # a bad version, configuration or form of the name
        raise ReproError(f"no data set {name!r}: {first_line(error)}") from error


def _keys(name: str, builder: Any) -> tuple[str, str]:
    """Return the names of the image and of its class."""
    features = builder.info.features
    match builder.info.supervised_keys:
        case (str(image), str(label)) if isinstance(features[label], tfds.features.ClassLabel):
            shape = features[image].shape
            if len(shape) == 3 and None not in shape:
                return image, label
    raise ReproError(f"data set {name!r} does not classify images of one size; mnist and cifar10, for example, do")


def _prepare(name: str, builder: Any, folder: Path) -> None:
    image, _ = _keys(name, builder)
    if isinstance(builder.info.features[image], tfds.features.Image) and not importlib.util.find_spec("tensorflow"):
        raise _unavailable(name, folder, "preparing images needs TensorFlow (pip install 'keras-repro[tensorflow]')")
    hosts = _hosts(builder, folder)
    if hosts and not any(_answers(host) for host in hosts):
        raise _unavailable(name, folder, f"{' and '.join(hosts)} cannot be reached")
    try:
        builder.download_and_prepare(file_format=FILE_FORMAT)
    except Exception as error:  # the code of any data set runs here
        raise _unavailable(name, folder, first_line(error)) from error


def _hosts(builder: Any, folder: Path) -> list[str]:
    """Return the servers of the files to download, without those that the user has put in their place by hand."""
    by_hand = folder / "downloads" / "manual"
    missing = [url for url, file in (builder.url_infos or {}).items() if not (by_hand / str(file.filename)).exists()]
    return sorted({f"{urlsplit(url).scheme}://{urlsplit(url).netloc}" for url in missing if url.startswith("http")})


def _answers(host: str) -> bool:
    # Asked first because a download without a network is retried for minutes.
    try:
        requests.head(host, timeout=CONNECTION_TIMEOUT)
    except (requests.ConnectionError, requests.Timeout):
        return False
    return True


def _read(name: str, builder: Any) -> ImageData:
    splits = builder.info.splits
    test = next((split for split in ("test", "validation") if split in splits), None)
    if "train" not in splits or test is None:
        raise ReproError(f"data set {name!r} has no training and test splits; its splits are {', '.join(splits)}")
    image, label = _keys(name, builder)
    arrays = *_arrays(name, builder, "train", image, label), *_arrays(name, builder, test, image, label)
    for array in arrays:
        array.setflags(write=False)  # every claim of the process gets the same arrays
    return ImageData(name, builder.info.features[label].num_classes, *arrays)


def _arrays(name: str, builder: Any, split: str, image: str, label: str) -> tuple[Floats, Labels]:
    try:
        source = builder.as_data_source(split)
    except NotImplementedError:
        examples = _read_by_tensorflow(name, builder, split)
        return _scaled(examples[image]), examples[label].astype(np.int32)
    rows = source.__getitems__(range(len(source)))
    return _scaled(np.stack([row[image] for row in rows])), np.array([row[label] for row in rows], np.int32)


def _read_by_tensorflow(name: str, builder: Any, split: str) -> dict[str, npt.NDArray[Any]]:
    if not importlib.util.find_spec("tensorflow"):
        raise DataUnavailableError(
            f"data set {name!r} in {builder.data_dir} is written for TensorFlow alone; pip install "
            f"'keras-repro[tensorflow]', or {_remedy(name)}"
        )
    in_order = tfds.ReadConfig(interleave_cycle_length=1)
    examples: dict[str, npt.NDArray[Any]] = tfds.as_numpy(
        builder.as_dataset(split, batch_size=-1, read_config=in_order)
    )
    return examples


def _scaled(images: npt.NDArray[Any]) -> Floats:
    scale = np.iinfo(images.dtype).max if np.issubdtype(images.dtype, np.integer) else 1
    scaled = images.astype(np.float32)
    scaled /= np.float32(scale)
    return scaled


def _unavailable(name: str, folder: Path, reason: str) -> DataUnavailableError:
    return DataUnavailableError(
        f"data set {name!r} is not in {folder} and cannot be put there: {reason}; {_remedy(name)}"
    )


def _remedy(name: str) -> str:
    return (
        f"prepare it elsewhere with: tfds build {name} --file_format={FILE_FORMAT} --data_dir=FOLDER, "
        "and name that folder with --data-dir"
    )


@contextlib.contextmanager
def _readable(name: str, folder: Path) -> Iterator[None]:
    """Say in a line that a data set is damaged or half written; what reads it may raise anything."""
    try:
        yield
    except ReproError:
        raise
    except Exception as error:
        raise DataUnavailableError(
            f"data set {name!r} in {folder} cannot be read: {first_line(error)}; remove it there, and {_remedy(name)}"
        ) from error


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Swallow what TensorFlow Datasets prints, its progress bars included."""
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(printed):
        yield
