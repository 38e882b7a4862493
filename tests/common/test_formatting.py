import math

import numpy as np
import pytest

from repro.common import finite, first_line, format_duration, format_effect, format_number, one_line, printable
from repro.uncertainty import SMALLEST


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (1.23456, "1.235"),
        (-0.5, "−0.5"),
        (1e-7, "1e−07"),
        (0.0, "0"),
        (-SMALLEST, "0"),
        (np.inf, "∞"),
        (-np.inf, "−∞"),
        (np.nan, "–"),
        (7, "7"),
    ],
)
def test_numbers(value, text):
    assert format_number(value) == text


def test_effects():
    assert format_effect(0.5, -np.inf, 1.25) == "0.5 [−∞, 1.25]"


def test_infinities_become_none_at_any_depth():
    assert finite({"a": (1.0, math.inf), 2: [math.nan, "x"]}) == {"a": [1.0, None], "2": [None, "x"]}


def test_first_line_is_the_one_that_says_what_is_wrong():
    keras = "Exception encountered when calling Dense.call().\n\n\x1b[1mMatrix size-incompatible\x1b[0m\nmore"
    assert first_line(ValueError(keras)) == "Matrix size-incompatible"
    assert first_line(KeyError()) == "KeyError"
    assert len(first_line(ValueError("word " * 200))) <= 500


def test_errors_and_control_characters_take_one_line():
    assert one_line(ValueError("one\ntwo")) == "ValueError: one"
    assert printable("a\x1b[31m\udcff") == r"a\x1b[31m\udcff"


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.04, "0.0 s"), (9.94, "9.9 s"), (42.4, "42 s"), (600, "10 min"), (7200, "2.0 h")]
)
def test_durations_have_the_unit_that_suits_them(seconds, text):
    assert format_duration(seconds) == text
