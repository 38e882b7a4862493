import inspect
from functools import partial

import pandas as pd
import pytest

from repro.catalogue import Correction, Rival, lacking
from repro.catalogue.declaration import Claim, claim
from repro.catalogue.sources import Source, cheatsheet, lectures
from repro.common.errors import ClaimError, ObservationsError
from repro.criteria import AtMost, Boundary, Equivalent, Reading
from repro.engine import backend


def declare(function, **details):
    criterion = AtMost("value", bound=10)
    return claim("It is at most 10.", source=cheatsheet("1"), criterion=criterion, kind="theorem", **details)(function)


def experiment(seeds, *, size=3, scale=1.0):
    """Measures the size."""
    observations = pd.DataFrame({"seed": list(seeds), "value": float(size), "other": scale})
    observations.attrs["tuning"] = [{"rate": 0.1}]
    return observations


def reduced(observations, *, factor=2):
    """Takes a multiple of it."""
    assert "value" in observations
    observations["value"] *= factor
    return observations[["seed", "value"]]


def without_seeds(*, size=3):
    return pd.DataFrame({"value": [float(size)]})


plain = declare(experiment, control={"size": 99}, smoke={"size": 2}, full={"size": 5})
reader = declare(reduced, reads=experiment, control={"factor": 99})


class TestDeclaration:
    def test_a_claim_is_its_function_to_help_and_inspect(self):
        assert isinstance(plain, Claim)
        assert (plain.id, plain.__name__) == ("test_declaration.experiment", "experiment")
        assert plain.__doc__ == "Measures the size."
        assert inspect.signature(plain) == inspect.signature(experiment)
        assert inspect.unwrap(plain) is experiment

    @pytest.mark.parametrize(
        ("module", "family"),
        [
            ("repro.claims.dropout", "dropout"),
            ("repro.claims.dropout.scaling", "dropout"),
            ("my_claims", "my_claims"),
            ("study.optimizers", "optimizers"),
            ("__main__", "test_declaration"),  # a script: its file
        ],
    )
    def test_id(self, module, family):
        def bound(seeds, *, size=1):
            return experiment(seeds, size=size)

        bound.__module__ = module
        assert declare(bound, control={"size": 99}).id == f"{family}.bound"

    def test_id_in_a_notebook(self):
        names = {"__name__": "__main__"}
        exec(compile("def bound(seeds, *, size=1): pass", "/tmp/ipykernel_7/123.py", "exec"), names)
        assert declare(names["bound"], control={"size": 99}).id == "main.bound"

    def test_one_source_or_several(self):
        assert plain.sources == (Source("cheatsheet", "1"),)
        both = claim(
            "x", source=[cheatsheet("1"), lectures("2")], criterion=AtMost("value", bound=1), control={"size": 9}
        )(experiment)
        assert [str(source) for source in both.sources] == ["cheatsheet 1", "lectures 2"]

    def test_a_claim_without_a_counterpart_is_one_that_lacks_it(self):
        (lack,) = lacking(declare(experiment))
        assert lack.startswith("no counterpart shows that its verdict could have come out otherwise")
        assert lacking(plain) == []

    def test_a_claim_without_a_kind_is_judged_as_a_tendency(self):
        kindless = claim("x", source=cheatsheet("1"), criterion=AtMost("value", bound=10), control={"size": 99})
        assert (kindless(experiment).kind, kindless(experiment).judged_as) == (None, "tendency")
        assert lacking(kindless(experiment)) == ["its kind is not declared (kind=), so it is judged as a tendency"]
        assert plain.judged_as == "theorem"

    @pytest.mark.parametrize("details", [{"control": {}}, {"control": {"size": 3}}, {"correction": Correction("y")}])
    def test_a_counterpart_must_differ(self, details):
        with pytest.raises(ClaimError, match="has the claim's own parameters in profile"):
            declare(experiment, **details)

    def test_a_counterpart_must_differ_in_every_profile(self):
        with pytest.raises(ClaimError, match="control has the claim's own parameters in profile smoke"):
            declare(experiment, control={"size": 2}, smoke={"size": 2})

    @pytest.mark.parametrize(
        "details",
        [
            {"control": {"sise": 1}},
            {"control": {"size": 9}, "smoke": {"sise": 1}},
            {"control": {"size": 9}, "full": {"sise": 1}},
            {"correction": Correction("y", sise=1)},
        ],
    )
    def test_unknown_parameters_are_named(self, details):
        with pytest.raises(ClaimError, match="no parameter 'sise'; parameters are size, scale"):
            declare(experiment, **details)

    def test_parameters_are_given_by_name_and_have_defaults(self):
        def positional(seeds, size=1):
            return experiment(seeds, size=size)

        def misnamed(samples, *, size=1):
            return experiment(samples, size=size)

        def required(seeds, *, size):
            return experiment(seeds, size=size)

        for function in (positional, misnamed):
            with pytest.raises(ClaimError, match=r"after a \*"):
                declare(function, control={"size": 9})
        with pytest.raises(ClaimError, match="parameter 'size' has no default"):
            declare(required, control={"size": 9})
        with pytest.raises(ClaimError, match="only observations come before"):
            declare(without_seeds, reads=experiment, control={"size": 9})


class TestVariants:
    def test_profiles(self):
        sizes = {profile: plain.variants(profile)[0].parameters["size"] for profile in ("smoke", "standard", "full")}
        assert sizes == {"smoke": 2, "standard": 3, "full": 5}

    def test_counterparts_keep_the_other_parameters(self):
        both = declare(experiment, control={"size": 99}, correction=Correction("It is 10.", scale=2.0))
        own, control, correction = both.variants("standard", {"scale": 5.0})
        assert (own.role, own.parameters) == ("claim", {"size": 3, "scale": 5.0})
        assert (control.role, control.parameters) == ("control", {"size": 99, "scale": 5.0})
        assert (correction.role, correction.parameters) == ("correction", {"size": 3, "scale": 2.0})
        assert [item.statement for item in (own, control, correction)] == [both.statement] * 2 + ["It is 10."]

    def test_counterparts_may_have_a_criterion_of_their_own(self):
        larger = AtMost("value", bound=100)
        claimed = declare(experiment, rival=Rival("It is at most 100.", criterion=larger))
        own, rival = claimed.variants("standard")
        assert (rival.role, rival.criterion, rival.parameters) == ("rival", larger, own.parameters)
        assert own.criterion == AtMost("value", bound=10)

    def test_a_possibility_is_repeated(self):
        declared = claim(
            "It may be small.",
            source=cheatsheet("1"),
            criterion=AtMost("value", bound=10),
            kind="possibility",
            control={"size": 99},
        )
        own, control, repetition = declared(experiment).variants("smoke")
        assert [item.role for item in (own, control, repetition)] == ["claim", "control", "repetition"]
        assert repetition.parameters == own.parameters
        assert [item.role for item in declared(without_seeds).variants("smoke")] == ["claim", "control"]

    def test_counterparts_are_read_as_the_claim_but_for_its_boundary(self):
        boundary = Boundary("everywhere", holds="size > 0")
        own, control = declare(experiment, control={"size": 99}, boundary=boundary).variants("standard")
        assert own.reading == Reading("theorem", "exact", boundary)
        assert control.reading == Reading("theorem", "exact", None)

    def test_overrides_replace_those_of_the_profile(self):
        assert plain.variants("smoke", {"size": 7})[0].parameters["size"] == 7
        with pytest.raises(ClaimError, match=r"test_declaration\.experiment: no parameter 'sise'"):
            plain.variants("smoke", {"sise": 7})


class TestCall:
    def test_as_a_plain_function(self):
        observations = plain([0, 1], size=4)
        assert observations.to_dict("list") == {"seed": [0, 1], "value": [4.0, 4.0], "other": [1.0, 1.0]}
        assert plain(range(2))["value"].tolist() == [3.0, 3.0]

    def test_unknown_parameter(self):
        with pytest.raises(ClaimError, match="no parameter 'sise'"):
            plain([0], sise=4)

    def test_without_randomness(self):
        exact = declare(without_seeds, control={"size": 99})
        assert (exact.takes_seeds, plain.takes_seeds) == (False, True)
        assert exact.judge(exact()).status == "reproduced"
        assert exact.judge(exact(size=99)).status == "refuted"

    def test_seeds_must_come_back(self):
        def forgetful(seeds, *, size=1):
            return experiment(seeds, size=size).drop(columns="seed")

        with pytest.raises(ObservationsError, match="takes seeds, but its observations have no column 'seed'"):
            declare(forgetful, control={"size": 9})([0])


class TestSharedExperiment:
    def test_parameters_are_split(self):
        assert reader.defaults == {"size": 3, "scale": 1.0, "factor": 2}
        assert reader.experiment is experiment
        parameters = reader.variants("standard", {"size": 4, "factor": 3})[0].parameters
        assert reader.experiment_parameters(parameters) == {"size": 4, "scale": 1.0}
        assert reader([0], size=4, factor=3)["value"].tolist() == [12.0]

    def test_claims_with_one_experiment_read_it_alone(self):
        observations = experiment([0, 1])
        assert reader.read(observations, {"factor": 5})["value"].tolist() == [15.0, 15.0]
        assert observations["value"].tolist() == [3.0, 3.0]
        assert plain.read(observations, {}) is observations

    def test_keras_is_configured_before_a_claim_may_use_it_to_read(self, monkeypatch):
        calls = []
        monkeypatch.setattr(backend, "configure", lambda: calls.append("configured"))
        reader.read(experiment([0, 1]), {})
        assert calls == ["configured"]

    def test_tuning_travels_along(self):
        assert reader([0]).attrs == {"tuning": [{"rate": 0.1}]}

        def annotated(observations, *, factor=2):
            result = observations.assign(value=factor)
            result.attrs = {"note": "own"}
            return result

        assert declare(annotated, reads=experiment, control={"factor": 99})([0]).attrs == {
            "tuning": [{"rate": 0.1}],
            "note": "own",
        }

    def test_method_is_that_of_experiment_and_reduction(self):
        assert reader.method == "Measures the size.\n\nTakes a multiple of it."
        assert plain.method == "Measures the size."

    def test_other_defaults_of_a_shared_experiment(self):
        larger = declare(reduced, reads=partial(experiment, size=4), control={"factor": 99})
        assert larger.defaults == {"size": 4, "scale": 1.0, "factor": 2}
        assert larger.experiment is experiment
        assert larger.method == reader.method
        assert larger([0])["value"].tolist() == [8.0]

    def test_a_parameter_of_both_has_one_value(self):
        def scaled(observations, *, size=3):
            return observations.assign(value=observations["value"] / size)

        criterion = Equivalent("value", 1.0, smallest_difference=0.1, because="it is divided by itself")
        both = claim("x", source=cheatsheet("1"), criterion=criterion, reads=experiment, control={"scale": 2.0})(scaled)
        assert both([0], size=8)["value"].tolist() == [1.0]
