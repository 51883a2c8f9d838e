"""The tables of the scenarios: coverage matrices, and cases that break the constraints."""

from typing import Any

import pytest

from sgf_pipeline.domain.cases import FraudCase
from sgf_pipeline.domain.scenario_names import ScenarioName
from sgf_pipeline.scenarios import SCENARIOS
from sgf_pipeline_tests.scenarios import cases


@pytest.mark.parametrize("name", list(SCENARIOS))
def test_matrix_is_wide_enough(name: ScenarioName) -> None:
    """Guards against briefs that repeat themselves: under 200 different cells diversity would come from chance."""
    matrix = SCENARIOS[name].matrix
    assert len({brief.prompt() for brief in matrix}) == len(matrix) >= 200
    used = {(brief.vector, brief.channel) for brief in matrix}
    assert {vector for vector, _ in used} == set(SCENARIOS[name].vectors)


def test_hand_written_cases_are_valid() -> None:
    """Guards the other tests: what they play must be what a model may write."""
    laundering = [cases.laundering(vector) for vector in SCENARIOS["money_laundering"].vectors]
    phishing = [cases.phishing(vector) for vector in SCENARIOS["phishing"].vectors]
    for case in (cases.card_testing(), cases.cloned_cards(), *laundering, *phishing):
        assert SCENARIOS[case.scenario].violations(case) == []


def _first(case: FraudCase, **change: Any) -> FraudCase:
    """The case with its first step changed."""
    steps = [step.model_copy(update=change if i == 0 else {}) for i, step in enumerate(case.steps)]
    return case.model_copy(update={"steps": steps})


def _steps(case: FraudCase, *order: int) -> FraudCase:
    return case.model_copy(update={"steps": [case.steps[i] for i in order]})


CARDS, WIRES = cases.card_testing(), cases.laundering
WRONG = [
    (CARDS.model_copy(update={"scenario": "money_laundering", "vector": "fan_in"}), "scenario is money_laundering"),
    (CARDS.model_copy(update={"vector": "fan_in"}), "vector fan_in is not one of"),
    (_first(CARDS, kind="cash_deposit"), "kind cash_deposit is not one of"),
    (_first(CARDS, channel="atm"), "verification cannot happen on channel atm"),
    (_first(CARDS, basis="habit"), "verification cannot be sized by habit"),
    (_first(CARDS, low=1.0), "low 1.0 is above high 0.0"),
    (_steps(CARDS, 3), "the first step must be a test"),
    (_steps(CARDS, 1, 3, 2), "a test after spending"),
    (CARDS.model_copy(update={"customers": 2}), "at least 3 cards are tried"),
    (CARDS.model_copy(update={"devices": 0}), "devices must be 1 to 8"),
    (CARDS.model_copy(update={"addresses": 0}), "addresses 1 to 12"),
    (CARDS.model_copy(update={"merchant_category": None}), "merchant_category must be set"),
    (_first(CARDS, high=2.5), "a test of 2.5 units is no test"),
    (_first(CARDS, high=0.5), "verification must be 0 or 1 unit"),
    (_first(_steps(CARDS, 1), high=1.5), "unit_test must be exactly 1 unit"),
    (_first(_steps(CARDS, 2), low=0.01), "micro_purchase starts at 0.05"),
    (_first(CARDS, kind="spend", basis="habit", low=0.1, high=0.2), "spend must lie between"),
    (_steps(WIRES("fan_in"), 1, 2), "the first step must place money"),
    (_first(WIRES("fan_in"), high=6.0), "a placement must lie between"),
    (_first(WIRES("structuring"), high=1.2), "structuring stays under the threshold"),
    (_steps(WIRES("fan_in"), 0).model_copy(update={"vector": "cash_business"}), "cash_business needs a cash_deposit"),
    (WIRES("mule_chain", customers=2), "at least 3 accounts"),
    (_steps(WIRES("cycle"), 0), "cycle needs an internal_transfer"),
    (WIRES("cycle").model_copy(update={"steps": [
        WIRES("cycle").steps[0], WIRES("cycle").steps[1].model_copy(update={"count": 1}),
    ]}), "cycle needs 2 internal transfers"),
    (WIRES("fan_in", outsiders=0), "at least 1 outsider"),
    (WIRES("fan_in", merchant_category="5411"), "merchant_category must be null"),
    (WIRES("fan_in").model_copy(update={"steps": [
        WIRES("fan_in").steps[0], WIRES("fan_in").steps[1].model_copy(update={"high": 1.5}),
    ]}), "at most what arrived"),
]  # fmt: skip


@pytest.mark.parametrize(("case", "sentence"), WRONG, ids=[sentence for _, sentence in WRONG])
def test_wrong_case_is_refused(case: FraudCase, sentence: str) -> None:
    """Guards the gate before the plays: a case that a play cannot honour must be asked for again."""
    scenario = SCENARIOS[
        "money_laundering"
        if case.merchant_category != "8398" and case.steps[0].kind in SCENARIOS["money_laundering"].step_kinds
        else "card_testing"
    ]
    assert any(sentence in found for found in scenario.violations(case))
