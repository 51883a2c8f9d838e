"""Explanations of chargeback fraud: numbers counted by hand, and what is never cited."""

import pandas as pd
import pytest

from sgf_pipeline.explain import verify
from sgf_pipeline.explain.chargeback_fraud import LEAD, VECTORS
from sgf_pipeline.scenarios import SCENARIOS
from sgf_pipeline_tests.explain.telling import by_hand, proofs, reworded, rows_of, told

NAME = "chargeback_fraud"
DAY = 24 * 60


def written() -> pd.DataFrame:
    """Two purchases, one kept, a refund, a purchase, a chargeback, a last purchase; one row a day."""
    bought = {"step_kind": "goods_purchase"}
    back = {"is_fraud": False, "direction": "credit"}
    audio = {"merchant_id": "m1", "merchant_name": "Audio 24", "card_id": "c1"}
    shoes = {"merchant_id": "m2", "merchant_name": "Shoes", "card_id": "c1"}
    return by_hand(
        {**bought, **audio, "minute": 0, "amount": 1200.5},
        {**bought, **shoes, "minute": DAY, "amount": 99.0},
        {**shoes, "step_kind": "kept_purchase", "is_fraud": False, "minute": 2 * DAY, "amount": 50.0},
        {**back, **shoes, "step_kind": "merchant_refund", "minute": 3 * DAY, "amount": 40.25},
        {**bought, **shoes, "minute": 4 * DAY, "amount": 10.0, "card_id": "c2"},
        {**back, **audio, "step_kind": "dispute", "minute": 5 * DAY, "amount": 1200.5},
        {**bought, **audio, "minute": 6 * DAY, "amount": 20.0},
        vector="double_dip",
    )


def test_counted_by_hand() -> None:
    """Guards against the same misreading in both implementations: these numbers were counted on paper."""
    explained = told(written(), NAME)
    first, second, _, _, third, _, fourth = proofs(explained)
    assert (first["fact"], first["purchases"], first["amount"], first["whole"]) == ("first_purchase", 4, 1200.5, 1329.5)
    assert (second["fact"], second["purchase"], second["spent"]) == ("purchase", 2, 1299.5)
    assert (second["merchants"], second["cards"], second["largest"]) == (2, 1, 1200.5)
    assert (third["fact"], third["returned"], third["spent"]) == ("after_refund", 40.25, 1309.5)
    assert (third["refunds"], third["since_back"]) == (1, {"value": 24, "unit": "hours"})
    assert (fourth["fact"], fourth["purchase"], fourth["disputes"]) == ("after_dispute", 4, 1)
    assert (fourth["returned"], fourth["spent"]) == (1240.75, 1329.5)
    assert verify(explained) == []
    french = told(written(), NAME, "fr")
    assert verify(french) == []
    assert "1\u202f200,50 EUR" in french["explanation"][0]


@pytest.mark.parametrize("language", ["en", "fr"])
def test_every_vector_has_words_and_is_told_by_them(language: str) -> None:
    """Guards a new vector against being told by its bare key."""
    assert set(VECTORS) == set(SCENARIOS[NAME].vectors)
    explained = told(rows_of(NAME, 1), NAME, language)
    for row in explained[explained["is_fraud"]].itertuples():
        assert VECTORS[row.vector][language] in row.explanation


def test_a_purchase_never_cites_its_own_chargeback() -> None:
    """Guards the future: what comes weeks later, or after the period, is no evidence of the purchase."""
    rows = rows_of(NAME, 1)
    rows = rows[rows["vector"] == "not_received_claim"].reset_index(drop=True)
    explained = told(rows, NAME)
    cut = told(rows[rows["step_kind"] != "dispute"].reset_index(drop=True), NAME)
    text = explained.loc[explained["is_fraud"], "evidence"].tolist()
    assert text == cut.loc[cut["is_fraud"], "evidence"].tolist()


def test_a_condition_names_no_step_that_has_not_come_yet() -> None:
    """Guards the future: that the money came back by a dispute a day later must not show in an earlier condition."""
    third = [proofs(told(reworded(written(), number), NAME))[4]["rows"] for number in range(12)]
    cited = [rows["back"]["where"]["case_step"] for rows in third if "back" in rows]
    assert cited
    assert all(steps == [2] for steps in cited)  # 0 goods, 1 kept, 2 refund; 3 is the dispute


def test_no_sentence_says_that_the_customer_himself_bought() -> None:
    """Guards the family purchase: somebody of the household made it, on the customer's card."""
    for sentence in LEAD.en + LEAD.fr:
        assert not any(said in sentence for said in ("customer bought", "by the customer", "par le client", "a acheté"))
