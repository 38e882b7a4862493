import dataclasses
import hashlib
import importlib.util
import io
import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import ClassVar
from unittest import mock

import numpy as np
import PIL.Image
import pytest
import requests
import sklearn.datasets
import sklearn.preprocessing
import tensorflow_datasets as tfds

from repro.common.errors import DataUnavailableError, ReproError
from repro.engine import data

WITH_TENSORFLOW = importlib.util.find_spec("tensorflow") is not None


def square(row):
    """A 5x4 image of three channels whose pixels tell its number."""
    return np.full((5, 4, 3), [row, 2 * row, 255], np.uint8)


def png(image):
    file = io.BytesIO()
    PIL.Image.fromarray(image).save(file, "png")
    return file.getvalue()


class Squares(tfds.core.GeneratorBasedBuilder, skip_registration=True):
    """Real image features, encoded without TensorFlow. Not registered: to be found by its files alone."""

    VERSION = tfds.core.Version("1.0.0")

    def _info(self):
        features = {"image": tfds.features.Image(shape=(5, 4, 3)), "label": tfds.features.ClassLabel(num_classes=3)}
        return tfds.core.DatasetInfo(
            builder=self, features=tfds.features.FeaturesDict(features), supervised_keys=("image", "label")
        )

    def _split_generators(self, dl_manager):  # noqa: ARG002  TFDS names it
        return {"train": self._generate_examples(range(12)), "test": self._generate_examples(range(12, 18))}

    def _generate_examples(self, rows):
        for row in rows:
            yield row, {"image": png(square(row)), "label": row % 3}


class RegisteredTensors(tfds.core.GeneratorBasedBuilder):
    """Found by its code, and prepared by ``load`` itself."""

    VERSION = tfds.core.Version("1.0.0")
    BUILDER_CONFIGS: ClassVar = [tfds.core.BuilderConfig(name=name) for name in ("fine", "sizes", "broken", "unsplit")]

    def _info(self):
        shape = (None, None, 1) if self.builder_config.name == "sizes" else (2, 2, 1)
        features = {
            "picture": tfds.features.Tensor(shape=shape, dtype=np.uint8),
            "kind": tfds.features.ClassLabel(num_classes=2),
        }
        return tfds.core.DatasetInfo(
            builder=self, features=tfds.features.FeaturesDict(features), supervised_keys=("picture", "kind")
        )

    def _split_generators(self, dl_manager):  # noqa: ARG002  TFDS names it
        if self.builder_config.name == "broken":
            raise ValueError("the archive is damaged\nand more is said of it")
        if self.builder_config.name == "unsplit":
            return {"everything": self._generate_examples(3)}
        return {"train": self._generate_examples(3), "validation": self._generate_examples(2)}

    def _generate_examples(self, count):
        for row in range(count):
            yield row, {"picture": np.full((2, 2, 1), 255 * row // 2, np.uint8), "kind": row % 2}


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path))
    return tmp_path


@pytest.fixture
def squares(folder):
    Squares(data_dir=folder).download_and_prepare(file_format="array_record")
    return folder / "squares" / "1.0.0"


@pytest.fixture
def no_network(monkeypatch):
    monkeypatch.setattr(requests, "head", mock.Mock(side_effect=requests.ConnectionError))


def digest(*arrays):
    return hashlib.sha256(b"".join(array.tobytes() for array in arrays)).hexdigest()


def test_digits_have_fixed_stratified_splits():
    digits = data.load_data("digits")
    assert (digits.name, digits.classes, digits.shape) == ("digits", 10, (8, 8, 1))
    assert digits.x_train.shape == (1437, 8, 8, 1)
    assert digits.x_test.shape == (360, 8, 8, 1)
    assert (digits.x_train.dtype, digits.y_train.dtype) == (np.float32, np.int32)
    every = Counter(sklearn.datasets.load_digits().target.tolist())
    for label, count in Counter(digits.y_test.tolist()).items():
        assert count == pytest.approx(every[label] * 360 / 1797, abs=1)
    assert digest(digits.x_train, digits.y_train, digits.x_test, digits.y_test).startswith("12b3ea788f4af486")


def test_every_digit_appears_once_with_its_label():
    digits, original = data.load_data("digits").flat(), sklearn.datasets.load_digits()
    served = [
        (*(16 * image).tolist(), label)
        for images, labels in ((digits.x_train, digits.y_train), (digits.x_test, digits.y_test))
        for image, label in zip(images, labels.tolist(), strict=True)
    ]
    expected = [(*image, label) for image, label in zip(original.data.tolist(), original.target.tolist(), strict=True)]
    assert Counter(served) == Counter(expected)


def test_digits_are_loaded_once_and_cannot_be_changed():
    digits = data.load_data()
    assert data.load_data("digits") is digits
    with pytest.raises(ValueError, match="read-only"):
        digits.x_train[0] = 1
    with pytest.raises(ValueError, match="read-only"):
        digits.flat().y_test[0] = 1


def test_digits_load_quietly_without_home_or_tensorflow(tmp_path):
    unusable = tmp_path / "file"
    unusable.touch()
    program = "import sys; from repro.engine import data; data.load_data(); assert 'tensorflow' not in sys.modules"
    environment = os.environ | {"HOME": str(unusable), "TFDS_DATA_DIR": str(unusable / "folder")}
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_flat_keeps_the_order_of_pixels():
    digits = data.load_data()
    assert digits.flat().shape == (64,)
    np.testing.assert_array_equal(digits.flat().x_test[3], digits.x_test[3].ravel())


def test_standardized_by_the_training_set():
    digits = data.load_data()
    constant = digits.x_train.std(axis=0) == 0
    assert constant.sum() > 0
    standardized = digits.standardized()
    scaler = sklearn.preprocessing.StandardScaler().fit(digits.flat().x_train.astype(float))
    for ours, original in ((standardized.x_train, digits.x_train), (standardized.x_test, digits.x_test)):
        expected = scaler.transform(original.reshape(len(original), -1).astype(float)).reshape(original.shape)
        np.testing.assert_allclose(ours[:, ~constant], expected[:, ~constant], atol=2e-5)
        assert not ours[:, constant].any()
    assert standardized.x_train.dtype == np.float32


def test_subsets_are_balanced_nested_and_seeded():
    digits = data.load_data()
    larger, smaller = digits.subset(304, seed=7), digits.subset(100, seed=7)
    assert set(Counter(larger.y_train.tolist()).values()) == {30, 31}
    np.testing.assert_array_equal(larger.x_train[:100], smaller.x_train)
    assert (digits.subset(100, seed=8).x_train != smaller.x_train).any()
    assert smaller.x_test is digits.x_test
    whole = digits.subset(1437, seed=0)
    assert Counter(map(bytes, whole.x_train)) == Counter(map(bytes, digits.x_train))


@pytest.mark.parametrize("size", [0, -1, 1438])
def test_subset_of_impossible_size(size):
    with pytest.raises(ReproError, match="digits has 1437 training images"):
        data.load_data().subset(size, seed=0)


def test_images_are_held_out_of_the_training_images_by_class():
    digits = data.load_data()
    parts = digits.held_out(0.2, seed=3)
    assert (len(parts.y_train), len(parts.y_test)) == (1150, 287)
    whole, held = Counter(digits.y_train.tolist()), Counter(parts.y_test.tolist())
    assert all(abs(held[label] - 0.2 * count) <= 1 for label, count in whole.items())
    pairs = [
        Counter(zip(map(bytes, images), labels.tolist(), strict=True))
        for images, labels in (
            (digits.x_train, digits.y_train),
            (parts.x_train, parts.y_train),
            (parts.x_test, parts.y_test),
        )
    ]
    assert pairs[1] + pairs[2] == pairs[0]
    again, other = digits.held_out(0.2, seed=3), digits.held_out(0.2, seed=4)
    np.testing.assert_array_equal(again.x_test, parts.x_test)
    assert (other.x_test != parts.x_test).any()


def test_rare_classes_are_held_out_in_their_share():
    digits = data.load_data()
    rare = np.concatenate([np.flatnonzero(digits.y_train == 0)[:10], np.flatnonzero(digits.y_train == 1)[:100]])
    uneven = dataclasses.replace(digits, x_train=digits.x_train[rare], y_train=digits.y_train[rare])
    assert Counter(uneven.held_out(0.3, seed=0).y_test.tolist()) == {0: 3, 1: 30}


@pytest.mark.parametrize("share", [0, 1, -0.2, 1.2, 0.01, 0.99, float("nan")])
def test_impossible_shares_to_hold_out(share):
    with pytest.raises(ReproError, match=f"a share of {share} of 20 training images cannot be held out"):
        data.load_data().subset(20, seed=0).held_out(share, seed=0)


def test_label_noise_is_that_of_the_training_labels():
    digits = data.load_data()
    noisy = digits.with_label_noise(0.1, seed=2)
    np.testing.assert_array_equal(noisy.y_train, data.corrupt_labels(digits.y_train, 10, 0.1, seed=2))
    assert noisy.x_train is digits.x_train
    assert noisy.y_test is digits.y_test


def test_noisy_labels_change_exactly_their_share_uniformly():
    labels = np.arange(40_000, dtype=np.int64) % 4
    noisy = data.corrupt_labels(labels, 4, 0.15, seed=3)
    changed = noisy != labels
    assert changed.sum() == 6_000
    assert noisy.dtype == np.int32
    shifts = Counter(((noisy - labels) % 4)[changed].tolist())
    assert set(shifts) == {1, 2, 3}
    assert all(abs(count - 2_000) < 4 * np.sqrt(6_000 * 2 / 9) for count in shifts.values())
    np.testing.assert_array_equal(noisy, data.corrupt_labels(labels, 4, 0.15, seed=3))
    assert (noisy != data.corrupt_labels(labels, 4, 0.15, seed=4)).any()


def test_noisy_labels_at_the_ends():
    labels = data.load_data().y_train
    np.testing.assert_array_equal(data.corrupt_labels(labels, 10, 0, seed=0), labels)
    assert (data.corrupt_labels(labels, 10, 1, seed=0) != labels).all()


@pytest.mark.parametrize(("classes", "share"), [(10, -0.1), (10, 1.1), (1, 0.5), (10, float("nan"))])
def test_impossible_noise(classes, share):
    with pytest.raises(ReproError, match="label noise takes a share"):
        data.corrupt_labels(np.zeros(3, np.int32), classes, share, seed=0)


def check_squares(loaded):
    assert (loaded.name, loaded.classes, loaded.shape) == ("squares", 3, (5, 4, 3))
    rows = np.rint(255 * loaded.x_train[:, 0, 0, 0]).astype(int)
    assert sorted(rows) == list(range(12))
    np.testing.assert_array_equal(loaded.x_train, np.stack([square(row) for row in rows]).astype(np.float32) / 255)
    np.testing.assert_array_equal(loaded.y_train, rows % 3)
    assert len(loaded.x_test) == len(loaded.y_test) == 6


@pytest.mark.usefixtures("squares")
def test_reads_images_prepared_elsewhere(capfd):
    check_squares(data.load_data("squares"))
    assert capfd.readouterr().err == ""


@pytest.mark.usefixtures("squares")
def test_reads_the_same_images_in_the_same_order_from_tfrecord(tmp_path, monkeypatch):
    pytest.importorskip("tensorflow")
    loaded = data.load_data("squares")
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path / "other"))
    Squares(data_dir=tmp_path / "other").download_and_prepare(file_format="tfrecord")
    again = data.load_data("squares")
    check_squares(again)
    np.testing.assert_array_equal(again.x_train, loaded.x_train)
    np.testing.assert_array_equal(again.y_test, loaded.y_test)


@pytest.mark.usefixtures("no_network")
@pytest.mark.parametrize("file", ["dataset_info.json", "features.json", "squares-train.array_record-00000-of-00001"])
@pytest.mark.parametrize("harm", ["missing", "empty", "cut", "folder"])
def test_half_written_data_are_one_line(squares, file, harm):
    damaged = squares / file
    content = damaged.read_bytes()
    damaged.unlink()
    if harm == "folder":
        damaged.mkdir()
    elif harm != "missing":
        damaged.write_bytes(b"" if harm == "empty" else content[: len(content) // 2])
    with pytest.raises(ReproError, match="squares") as error:
        data.load_data("squares")
    assert "\n" not in str(error.value)


@pytest.mark.skipif(WITH_TENSORFLOW, reason="TensorFlow reads tfrecord")
def test_says_that_tfrecord_needs_tensorflow(squares):
    info = json.loads((squares / "dataset_info.json").read_text())
    (squares / "dataset_info.json").write_text(json.dumps(info | {"fileFormat": "tfrecord"}))
    with pytest.raises(DataUnavailableError, match=r"pip install 'keras-repro\[tensorflow\]'"):
        data.load_data("squares")


def test_prepares_what_is_missing(folder, capfd):
    loaded = data.load_data("registered_tensors/fine")
    assert sorted(loaded.x_train[:, 0, 0, 0].tolist()) == pytest.approx([0, 127 / 255, 1])
    assert len(loaded.y_test) == 2
    assert (folder / "registered_tensors" / "fine" / "1.0.0" / "dataset_info.json").exists()
    assert capfd.readouterr() == ("", "")


@pytest.mark.usefixtures("folder")
def test_several_processes_prepare_the_same_data():
    program = "from test_data import data, digest; print(digest(data.load_data('registered_tensors').x_train))"
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), *sys.path])}
    command = [sys.executable, "-c", program]
    processes = [subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    printed = [process.communicate()[0] for process in processes]
    assert [process.returncode for process in processes] == [0, 0]
    assert printed[0] == printed[1] != ""


@pytest.mark.usefixtures("folder")
def test_reads_what_another_process_prepares_after_it_was_found_missing(monkeypatch):
    find = data._find

    def find_and_prepare(name, folder):
        builder = find(name, folder)
        if not builder.is_prepared():
            find(name, folder).download_and_prepare(file_format=data.FILE_FORMAT)
        return builder

    monkeypatch.setattr(data, "_find", find_and_prepare)
    assert len(data.load_data("registered_tensors").x_train) > 0


def check_unavailable(name, *parts):
    with pytest.raises(DataUnavailableError) as caught:
        data.load_data(name)
    message = str(caught.value)
    assert "\n" not in message
    assert all(part in message for part in (name, "--data-dir", *parts)), message


@pytest.mark.usefixtures("no_network")
def test_unavailable_without_network(folder):
    check_unavailable("cifar10", str(folder), "www.cs.toronto.edu" if WITH_TENSORFLOW else "needs TensorFlow")


@pytest.mark.skipif(not WITH_TENSORFLOW, reason="says at once that preparing images needs TensorFlow")
@pytest.mark.usefixtures("no_network")
def test_uses_files_that_were_put_in_place_by_hand(folder):
    by_hand = folder / "downloads" / "manual" / "cifar-10-binary.tar.gz"
    by_hand.parent.mkdir(parents=True)
    by_hand.write_text("not the archive")
    check_unavailable("cifar10", "wrong checksum")


def test_unavailable_where_preparing_fails(folder):
    check_unavailable("registered_tensors/broken", "the archive is damaged;")
    assert not (folder / "registered_tensors" / "broken" / "1.0.0").exists()


def test_unavailable_where_nothing_can_be_written(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path / "file" / "folder"))
    check_unavailable("registered_tensors", "Not a directory")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("ciffar10", "no data set 'ciffar10'; try cifar10"),
        ("digit", "try digits"),
        ("cifar10:1.0.0", "cannot be loaded at version 1.0.0, only: 3"),
        ("cifar10/x", "BuilderConfig x not found"),
        ("../x", "no data set '../x'"),
        ("", "no data set ''"),
        ("imdb_reviews", "does not classify images of one size"),
        ("registered_tensors/sizes", "does not classify images of one size"),
        ("registered_tensors/unsplit", "no training and test splits; its splits are everything"),
    ],
)
@pytest.mark.usefixtures("folder")
def test_wrong_names(name, message):
    with pytest.raises(ReproError) as caught:
        data.load_data(name)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not isinstance(caught.value, DataUnavailableError)
