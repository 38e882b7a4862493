"""Parameters as text, and back."""

import shlex

import pytest

from repro import AtMost, ReproError, claim, notes
from repro.catalogue.parameters import parameter_text, parse_parameters, repeat_command


def claim_with(default):
    @claim("x", source=notes("1"), criterion=AtMost("value", bound=1), control={"other": 1})
    def stand_in(*, value=default, other=0):
        return value, other

    return stand_in


@pytest.mark.parametrize(
    ("default", "text", "value"),
    [
        (5, "7", 7),
        (0.5, "1e-3", 0.001),
        (True, "false", False),
        (False, "yes", True),
        ("adam", "sgd", "sgd"),
        ("adam", "a=b", "a=b"),
        ((8, 20), "8,20,56", (8, 20, 56)),
        ((0.1,), "1,2", (1.0, 2.0)),
        (("relu",), "tanh", ("tanh",)),
        (None, "3", 3),
        (None, "tanh", "tanh"),
    ],
)
def test_values_have_the_type_of_the_default(default, text, value):
    parsed = parse_parameters(claim_with(default), [f"value={text}"])["value"]
    assert (parsed, type(parsed)) == (value, type(value))
    assert parse_parameters(claim_with(default), [f"value={parameter_text(value)}"]) == {"value": value}


@pytest.mark.parametrize(
    ("default", "text", "message"),
    [
        (5, "value=2.5", "stand_in: value takes a whole number, not '2.5'"),
        (5, "value=", "value takes a whole number, not ''"),
        (0.5, "value=fast", "value takes a number, not 'fast'"),
        (True, "value=7", "value takes true or false, not '7'"),
        ((1, 2), "value=1,x", "value takes int values separated by commas, not '1,x'"),
        (5, "valeu=3", "no parameter 'valeu'; its parameters are value, other"),
        (5, "value", "--set takes name=value, not 'value'"),
    ],
)
def test_what_cannot_be_read_is_named(default, text, message):
    with pytest.raises(ReproError, match=message):
        parse_parameters(claim_with(default), [text])


def test_the_command_that_repeats_is_read_back():
    parameters = {"value": (8, 20), "other": 3}
    command = repeat_command("module.name", "smoke", 12, parameters, "jax")
    assert command == (
        "repro check module.name --profile smoke --backend jax --seeds 12 --set value=8,20 --set other=3"
    )
    assert parse_parameters(claim_with((1,)), [word for word in shlex.split(command) if "=" in word]) == parameters
    assert "--seeds" not in repeat_command("module.name", "smoke", None, {}, "jax")
