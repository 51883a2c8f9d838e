"""What no row of any play may give away by its structure, and that plays repeat themselves exactly."""

import numpy as np
import pytest

from sgf_pipeline.domain.cases import FraudCase
from sgf_pipeline.domain.events import CHANNELS, COLUMNS, TRANSACTION_TYPES, EventBlock
from sgf_pipeline.population.filling import NULL_PATTERN, NULLABLE
from sgf_pipeline.scenarios import SCENARIOS
from sgf_pipeline.traffic import legitimate
from sgf_pipeline_tests.scenarios import cases

CASES = [
    cases.card_testing(),
    cases.cloned_cards(),
    cases.card_testing(geography="remote", tempo="slow"),
    *(cases.takeover(vector) for vector in SCENARIOS["account_takeover"].vectors),
    *(cases.merchant_fraud(vector) for vector in SCENARIOS["merchant_fraud"].vectors),
    *(cases.laundering(vector) for vector in SCENARIOS["money_laundering"].vectors),
    cases.laundering("fan_out", devices=0, addresses=0, tempo="burst", geography="cross_border"),
    *(cases.phishing(vector) for vector in SCENARIOS["phishing"].vectors),
]
IDS = [f"{case.vector}-{case.tempo}-{case.geography}" for case in CASES]


@pytest.mark.parametrize("case", CASES, ids=IDS)
def test_nulls_follow_the_one_pattern(case: FraudCase) -> None:
    """Guards against fraud that is told by a missing value: no column is set that honest rows leave out."""
    for number in range(8):
        block = SCENARIOS[case.scenario].play(case, cases.incident(case.scenario, number))
        for row in range(len(block)):
            pair = TRANSACTION_TYPES[block["transaction_type"][row]], CHANNELS[block["channel"][row]]
            for column in NULLABLE:
                if column == "link":
                    continue
                value, null = block[column][row], COLUMNS[column].null
                is_null = np.isnan(value) if isinstance(null, float) else value == null
                share = NULL_PATTERN[pair].get(column, 0.0)
                assert not (share == 0.0 and not is_null), f"{pair} has a {column}"
                assert not (share == 1.0 and is_null), f"{pair} lacks {column}"


@pytest.mark.parametrize("case", CASES, ids=IDS)
def test_rows_are_in_time_order_and_belong_to_the_incident(case: FraudCase) -> None:
    """Guards the cut: the simulation keeps the first rows in time order and trusts step and incident."""
    block = SCENARIOS[case.scenario].play(case, cases.incident(case.scenario, 7))
    assert np.all(np.diff(block["time"]) >= 0)
    kinds = [SCENARIOS[case.scenario].step_kinds[step.kind] for step in case.steps]
    np.testing.assert_array_equal(block["is_fraud"], [kinds[step].is_fraud for step in block["case_step"]])
    assert set(block["incident"].tolist()) == {7}
    assert np.all(np.diff(block["case_step"]) >= 0)
    assert block["case_step"].max() == len(case.steps) - 1
    assert block["label_delay_s"][block["is_fraud"]].min() > 0
    assert block["time"].min() >= cases.incident(case.scenario, 7).start_us


@pytest.mark.parametrize("case", CASES, ids=IDS)
def test_microseconds_are_spread_evenly(case: FraudCase) -> None:
    """Guards against fraud that is told by whole seconds."""
    blocks = [SCENARIOS[case.scenario].play(case, cases.incident(case.scenario, number)) for number in range(30)]
    fraction = np.concatenate([block["time"] for block in blocks]) % 1_000_000
    tenths = np.bincount(fraction // 100_000, minlength=10) / len(fraction)
    assert tenths.min() > 0.04
    assert tenths.max() < 0.18


@pytest.mark.parametrize("case", CASES, ids=IDS)
def test_the_same_incident_gives_the_same_block(case: FraudCase) -> None:
    """Guards equal bytes: a play may draw from its incident alone; another incident plays differently."""
    one, two, other = (
        SCENARIOS[case.scenario].play(case, cases.incident(case.scenario, number)) for number in (4, 4, 5)
    )
    for name in COLUMNS:
        np.testing.assert_array_equal(one[name], two[name], err_msg=name)
    assert len(one) != len(other) or not np.array_equal(one["amount"], other["amount"])


def lags(block: EventBlock) -> np.ndarray:
    """Seconds from debit leg to credit leg of every transfer inside the bank."""
    is_transfer = block["transaction_type"] == TRANSACTION_TYPES.index("transfer")
    legs = np.flatnonzero((block["link"] >= 0) & is_transfer)
    return (block["time"][legs] - block["time"][block["link"][legs]]) / 1e6


def test_criminal_transfers_take_as_long_as_honest_ones() -> None:
    """Guards against a booking lag that tells fraud: both are drawn from one distribution."""
    case, name = cases.laundering("mule_chain"), "money_laundering"
    played = [SCENARIOS[name].play(case, cases.incident(name, number)) for number in range(60)]
    criminal = np.concatenate([lags(block) for block in played])
    end_us = cases.START_US + 30 * cases.DAY_US
    traffic = legitimate(cases.people(name), seed=1, scenario=name, rows=20_000, start_us=cases.START_US, end_us=end_us)
    honest = lags(EventBlock.concat(list(traffic)))
    for quantile in (0.1, 0.5, 0.9):
        assert np.quantile(criminal, quantile) == pytest.approx(np.quantile(honest, quantile), rel=0.35)
