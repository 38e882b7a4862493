"""Checks the claims of deep-learning textbooks, lecture notes and papers as Keras experiments with verdicts.

The way of a claim, from its declaration to a page:

1. ``repro.catalogue``: ``@claim(...)`` declares a function from seeds to observations; the registry finds it.
2. ``repro.runner`` plans: the claim, its control and its correction become tasks, and tasks share jobs.
3. ``repro.runner`` executes jobs, here or in workers; an experiment calls ``repro.engine``, where Keras is.
4. ``repro.criteria`` judges the observations: a verdict with an effect and an interval of ``repro.uncertainty``.
5. ``repro.results`` stores verdicts and observations, compares runs, passes them on.
6. ``repro.report`` shows them: pages, a check in a notebook. ``repro.cli`` and ``repro.pytest_plugin`` are doors to it.
7. ``repro.audits`` asks whether the suite itself is right, ``repro.performance`` whether it is still fast.

docs/architecture.md says more. The names of the public API are listed in ``__init__.pyi`` and are loaded when first
used, so that importing the package loads neither pandas nor the claims.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
