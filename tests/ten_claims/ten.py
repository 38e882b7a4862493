"""Ten quick claims, of which the tests disturb the runs."""

import time

import numpy as np
import pandas as pd

from repro import AtMost, claim, lectures


def declare(number):
    def drawn(seeds, *, shift=0.0, points=20, pause=0.1):
        """Uniform numbers are compared with one."""
        time.sleep(pause)
        values = {seed: np.random.default_rng([number, seed]).uniform(size=points) + shift for seed in seeds}
        return pd.DataFrame(
            [{"seed": seed, "value": value, "bound": 1.0} for seed, row in values.items() for value in row]
        )

    drawn.__name__ = drawn.__qualname__ = f"claim_{number}"
    return claim(
        f"Uniform numbers of stream {number} are at most one.",
        source=lectures("1"),
        kind="theorem",
        criterion=AtMost("value", bound="bound"),
        control={"shift": 2.0},
    )(drawn)


claim_0, claim_1, claim_2, claim_3, claim_4 = map(declare, range(5))
claim_5, claim_6, claim_7, claim_8, claim_9 = map(declare, range(5, 10))
