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
    ("2", "1"): {
        "card_testing": "51222b469f1c3f9d",
        "account_takeover": "7a725d0942f788ff",
        "identity_theft": "2135d00c503606d4",
        "merchant_fraud": "341e78d1f187e434",
        "money_laundering": "951eb0cc511c416d",
        "phishing": "c99ce56e8781259f",
        "chargeback_fraud": "1f698e74848b216f",
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
