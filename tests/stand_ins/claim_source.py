"""Source code of a claim file."""

CLAIM = """
import pandas as pd
from repro import AtMost, Source, claim

@claim(
    "{statement}",
    source=Source("My lecture notes", "2.3 Bounds"),
    kind="theorem",
    criterion=AtMost("value", bound=1),
    control=dict(value=2),
)
def {name}(seeds, *, value=1):
    '''Values are written down.'''
    return pd.DataFrame(dict(seed=seeds, value=value))
"""


def claim_source(name, statement="It is at most one."):
    return CLAIM.format(name=name, statement=statement)
