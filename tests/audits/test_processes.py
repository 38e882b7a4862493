import os
import sys

from repro.audits.processes import in_fresh_processes


def process_and_double(number):
    sys.stdout.write("what an experiment prints")
    return os.getpid(), 2 * number


def flags_of_caches(_):
    return os.environ["JAX_ENABLE_COMPILATION_CACHE"], os.environ["TF_XLA_FLAGS"]


def fail_or_die(what):
    if what == "fail":
        raise ValueError("no such number")
    if what == "die":
        os._exit(3)
    return what


def test_every_call_has_a_process_of_its_own_that_prints_nothing(capfd):
    found = dict(in_fresh_processes(process_and_double, [1, 2, 3], workers=2))
    assert {number: result for number, (_, result) in found.items()} == {1: 2, 2: 4, 3: 6}
    assert len({os.getpid(), *(process for process, _ in found.values())}) == 4
    assert capfd.readouterr().out == ""


def test_programs_are_not_taken_from_caches(monkeypatch):
    monkeypatch.delenv("TF_XLA_FLAGS", raising=False)
    ((_, flags),) = in_fresh_processes(flags_of_caches, [None], workers=1)
    assert flags == ("false", "--tf_xla_persistent_cache_directory=")
    assert "TF_XLA_FLAGS" not in os.environ


def test_a_call_that_fails_or_dies_leaves_the_others_alone():
    found = dict(in_fresh_processes(fail_or_die, ["fail", "die", "return"], workers=1))
    assert str(found["fail"]) == "no such number"
    assert type(found["die"]).__name__ == "BrokenProcessPool"
    assert found["return"] == "return"


def test_without_workers_calls_are_made_here_in_order():
    found = list(in_fresh_processes(process_and_double, [3, 1], workers=0))
    assert found == [(3, (os.getpid(), 6)), (1, (os.getpid(), 2))]
