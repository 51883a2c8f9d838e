"""Explanations of identity theft, counted by hand, and of incidents of which only the end is left."""

import json

import pyarrow as pa
import pytest

from sgf_pipeline.domain.identifiers import Identifiers
from sgf_pipeline.explain import verify
from sgf_pipeline.formatting import clean
from sgf_pipeline.scenarios.identity_theft import SELLS_GOODS, SELLS_VOUCHERS
from sgf_pipeline.simulation import simulate
from sgf_pipeline_tests.explain.telling import LANGUAGES, by_hand, proofs, rows_of, told
from sgf_pipeline_tests.hand_written import CASES, content

NAME = "identity_theft"


def test_counted_by_hand() -> None:
    """Guards against the same misreading in both implementations: these numbers were counted on paper."""
    shop = {"merchant_id": "m", "merchant_name": "Fuel 24 Lyon"}
    wire = {"counterparty_country": "FR", "counterparty_account_id": "x"}
    quiet = {**shop, "is_fraud": False, "step_kind": "build_purchase"}
    rows = by_hand(
        {**quiet, "minute": 0, "amount": 12.5},
        {**wire, "minute": 60, "amount": 1500.0, "direction": "credit", "is_fraud": False, "step_kind": "build_wages"},
        {**quiet, "minute": 1800, "amount": 44.9, "response_code": "51"},
        {**quiet, "minute": 3600, "amount": 31.0},
        {**shop, "minute": 6000, "amount": 700.0, "step_kind": "goods_purchase"},
        {**shop, "minute": 6060, "amount": 650.0, "step_kind": "goods_purchase", "response_code": "51"},
        {**wire, "minute": 6180, "amount": 500.0, "step_kind": "false_repayment", "direction": "credit"},
        {**wire, "minute": 6240, "amount": 450.25, "step_kind": "transfer_out"},
        vector="recruited_front",
    )
    explained = told(rows, NAME)
    turn, refused, back, sent = proofs(explained)[4:]
    assert (turn["fact"], turn["quiet_payments"], turn["largest_quiet"]) == ("turn", 2, 31.0)
    assert (turn["quiet_time"], turn["quiet_spent"]) == ({"value": 4, "unit": "days"}, 43.5)
    assert turn["rows"]["quiet"]["transactions"] == ["t0", "t3"]
    assert (refused["row"], refused["rows_in_all"], refused["taken"], refused["refused"]) == (2, 4, 700.0, 1)
    assert (back["fact"], back["repaid"], back["taken"]) == ("false_repayment", 500.0, 700.0)
    assert (sent["taken"], sent["refused"], sent["elapsed"]) == (1150.25, 1, {"value": 4, "unit": "hours"})
    assert (sent["largest_taken"], sent["since_last"]) == (700.0, {"value": 60, "unit": "minutes"})
    assert "450.25 EUR" in explained["explanation"].iloc[7]
    assert "450,25 EUR" in told(rows, NAME, "fr")["explanation"].iloc[7]
    assert verify(explained) == []


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_repayment_whose_takings_were_cut_away_says_nothing_of_them(language: str) -> None:
    """Guards against a shard that fails because the period or the count left an incident only its end."""
    rows = rows_of(NAME, 1)
    repayments = rows[rows["step_kind"] == "false_repayment"].reset_index(drop=True)
    explained = told(repayments, NAME, language)
    assert {json.loads(text)["fact"] for text in explained["evidence"]} == {"unseen_taking"}
    assert verify(explained) == []


@pytest.mark.parametrize(
    ("currency", "country", "difficulty", "category"),
    [("EUR", "FR", 0.0, "5732"), ("EUR", "IT", 1.0, "4722"), ("KWD", "KW", 0.5, "5816"), ("TND", "TN", 1.0, "5947")],
)
def test_goods_and_vouchers_are_bought_where_they_are_sold(
    currency: str, country: str, difficulty: float, category: str
) -> None:
    """Guards "goods that sell easily" against railways and charities, "vouchers or credits" against fast food."""
    request = content(
        count=5_000, scenarios=[NAME], currency=currency, countries=[country], difficulty=difficulty, fraud_ratio=0.06
    )
    plan = [case.model_copy(update={"merchant_category": category}) for case in CASES[NAME]]
    ids = Identifiers("s", content_sha="c", seed=1, population_seed=1, scenario=NAME)
    rows = pa.Table.from_batches(list(clean(simulate(request, NAME, plan), request, ids))).to_pandas()
    rows = rows[rows["is_fraud"]]
    kinds = [plan[int(case)].steps[int(step)].kind for case, step in zip(rows["case"], rows["case_step"], strict=True)]
    bought = rows.assign(kind=kinds).groupby("kind")["merchant_category_code"].agg(lambda codes: set(codes.dropna()))
    assert len(bought["goods_purchase"] | bought["voucher_purchase"]) > 1
    assert bought["goods_purchase"] <= set(SELLS_GOODS)
    assert bought["voucher_purchase"] <= set(SELLS_VOUCHERS)
    assert not {"4112", "5814", "4899", "8398"} & {*SELLS_GOODS, *SELLS_VOUCHERS}
