"""Golden bytes: the same request and cases give the same file, until somebody raises a version on purpose."""

from pathlib import Path

import pytest

from sgf_pipeline.assets.clean_transactions import FORMATTING_VERSION
from sgf_pipeline.assets.raw_transactions import SIMULATION_VERSION
from sgf_pipeline.domain.identifiers import Identifiers
from sgf_pipeline.formatting import clean
from sgf_pipeline.resources.lake import LakeResource
from sgf_pipeline.scenarios import SCENARIOS
from sgf_pipeline.simulation import simulate
from sgf_pipeline_tests.hand_written import CASES, content

# (simulation, formatting) → first 16 hex digits of the SHA-256 of a small shard's clean file, locked versions, x86-64.
GOLDEN = {
    ("3", "1"): {
        "card_testing": "e80d859d8d009f36",
        "account_takeover": "92eab7f8652b336c",
        "identity_theft": "88d6fa4b3c624bc6",
        "merchant_fraud": "ab8e33f428ea81aa",
        "money_laundering": "8ad7631b6a5147bc",
        "phishing": "2dd5b64a3dd2015e",
        "chargeback_fraud": "0aa0faf28f71c1c4",
    },
}


@pytest.mark.parametrize("name", SCENARIOS)
def test_bytes_change_only_with_a_version(name: str, tmp_path: Path) -> None:
    """Guards reproducibility: whoever changes the bytes must raise a code version, so that Dagster marks them stale."""
    asked = content(count=400, scenarios=[name])
    ids = Identifiers("s", content_sha="c", seed=asked.seed, population_seed=asked.population_seed, scenario=name)
    lake = LakeResource(url=str(tmp_path))
    written = lake.write_rows(lake.path("golden.parquet"), clean(simulate(asked, name, CASES[name]), asked, ids))
    assert written.sha256[:16] == GOLDEN[SIMULATION_VERSION, FORMATTING_VERSION][name]
