"""Golden bytes: the same request and cases give the same file, until somebody raises a version on purpose."""

from pathlib import Path

import pytest

from sgf_pipeline.assets.clean_transactions import FORMATTING_VERSION
from sgf_pipeline.assets.feature_export import FEATURES_VERSION
from sgf_pipeline.assets.labelled_transactions import LABELLING_VERSION
from sgf_pipeline.assets.raw_transactions import SIMULATION_VERSION
from sgf_pipeline.domain.identifiers import Identifiers
from sgf_pipeline.domain.scenario_names import ScenarioName
from sgf_pipeline.features.store import LOG_COLUMNS, feature_rows
from sgf_pipeline.formatting import clean
from sgf_pipeline.labelling import label
from sgf_pipeline.resources.lake import LakeResource
from sgf_pipeline.scenarios import SCENARIOS
from sgf_pipeline.simulation import simulate
from sgf_pipeline_tests.hand_written import CASES, content

Versions = tuple[str, str, str, str]
# Versions of simulation, formatting, labelling, features → first 16 hex digits of the SHA-256 of a small shard's files
# as they are after formatting, after labelling, and of its features; locked versions, x86-64.
GOLDEN: dict[Versions, dict[str, tuple[str, str, str]]] = {
    ("3", "1", "2", "1"): {
        "card_testing": ("e80d859d8d009f36", "37c4ac21f9f223f6", "b377a7c351a988a5"),
        "account_takeover": ("92eab7f8652b336c", "581b5188102c69ed", "2a68d575ad2bebce"),
        "identity_theft": ("88d6fa4b3c624bc6", "1731c5d7c73aa1e9", "3a73fe588eb96945"),
        "merchant_fraud": ("ab8e33f428ea81aa", "9940f827d882f5f9", "20da52c74cf77bb8"),
        "money_laundering": ("8ad7631b6a5147bc", "60032c7c03547359", "7dc4a96cb7e2dada"),
        "phishing": ("2dd5b64a3dd2015e", "18675936350cc9c3", "b3b2ce8be588d8e5"),
        "chargeback_fraud": ("0aa0faf28f71c1c4", "8d197c1749d8b274", "b3adb3862b71d2b8"),
    },
}


@pytest.mark.parametrize("name", SCENARIOS)
def test_bytes_change_only_with_a_version(name: ScenarioName, tmp_path: Path) -> None:
    """Guards reproducibility: whoever changes the bytes must raise a code version, so that Dagster marks them stale."""
    asked = content(count=400, scenarios=[name])
    ids = Identifiers("s", content_sha="c", seed=asked.seed, population_seed=asked.population_seed, scenario=name)
    lake = LakeResource(url=str(tmp_path))
    formatted, labelled = lake.path("formatted.parquet"), lake.path("labelled.parquet")
    found = [lake.write_rows(formatted, clean(simulate(asked, name, CASES[name]), asked, ids))]
    found += [lake.write_rows(labelled, label(lake.read_rows(formatted), CASES[name], asked, name, ids).rows)]
    log = lake.read_rows(labelled, columns=list(LOG_COLUMNS))
    found += [lake.write_rows(lake.path("features.parquet"), feature_rows(log))]
    versions = (SIMULATION_VERSION, FORMATTING_VERSION, LABELLING_VERSION, FEATURES_VERSION)
    assert tuple(one.sha256[:16] for one in found) == GOLDEN[versions][name]
