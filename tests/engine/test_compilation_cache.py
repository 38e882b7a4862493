"""The cache of compiled programs: where it is, how large it grows, and that programs from it compute the same."""

import os
import subprocess
import sys

import pytest

from repro.engine.compilation_cache import TENSORFLOW_FLAG, evict, use_in_tensorflow

RUN = """
from repro.engine import backend
backend.configure()
import keras
if backend.name() == "jax":  # which keeps only what takes long to compile, and a busy machine takes long at times
    import jax
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)
multiply = backend.compile_function(lambda x: keras.ops.cumsum(keras.ops.matmul(x, x)))
print(keras.ops.convert_to_numpy(multiply(keras.ops.ones((7, 7)) / 3)).tobytes().hex())
"""


def test_what_was_not_used_for_longest_goes_first(tmp_path):
    files = [tmp_path / name for name in ("old", "middle", "new")]
    for age, file in zip((3000, 2000, 1000), files, strict=True):
        file.write_bytes(bytes(10))
        os.utime(file, (1e9 - age, 1e9 - age))
    evict([*files, tmp_path / "gone"], 25)
    assert [file.exists() for file in files] == [False, True, True]


def test_a_setting_of_the_user_is_kept(monkeypatch):
    monkeypatch.setenv("TF_XLA_FLAGS", f"{TENSORFLOW_FLAG}=")
    use_in_tensorflow("2.19.0")
    assert os.environ["TF_XLA_FLAGS"] == f"{TENSORFLOW_FLAG}="


def test_versions_have_folders_of_their_own(monkeypatch, tmp_path):
    monkeypatch.setattr("repro.engine.compilation_cache._folder", lambda: tmp_path)
    monkeypatch.setenv("TF_XLA_FLAGS", "--tf_xla_auto_jit=0")
    use_in_tensorflow("2.19.0")
    own, directory = os.environ["TF_XLA_FLAGS"].split()
    assert own == "--tf_xla_auto_jit=0"
    assert directory.startswith(f"{TENSORFLOW_FLAG}={tmp_path}/tensorflow-2.19.0-")


def test_a_cache_that_cannot_be_written_does_no_harm(monkeypatch, tmp_path):
    (tmp_path / "file").touch()
    monkeypatch.setattr("repro.engine.compilation_cache._folder", lambda: tmp_path / "file")
    monkeypatch.setenv("TF_XLA_FLAGS", "")
    use_in_tensorflow("2.19.0")
    assert os.environ["TF_XLA_FLAGS"] == ""


@pytest.mark.skipif(sys.platform != "linux", reason="the cache folder is chosen by XDG_CACHE_HOME on Linux alone")
def test_programs_are_kept_and_compute_the_same(tmp_path):
    environment = os.environ | {"XDG_CACHE_HOME": str(tmp_path)}
    for name in ("TF_XLA_FLAGS", "JAX_COMPILATION_CACHE_DIR", "JAX_ENABLE_COMPILATION_CACHE"):
        environment.pop(name, None)
    results, programs = [], []
    for _ in range(2):
        done = subprocess.run([sys.executable, "-c", RUN], env=environment, capture_output=True, text=True, check=True)
        results.append(done.stdout.splitlines()[-1])
        programs.append({file.name for file in tmp_path.rglob("*cache*") if file.is_file()})
    assert results[0] == results[1]
    assert programs[0] == programs[1]
    assert programs[0], "nothing was kept"
