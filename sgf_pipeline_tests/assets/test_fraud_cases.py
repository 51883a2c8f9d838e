"""The model's asset: whose vectors it asks for, and that cases which are all alike go no further."""

import json
import shutil
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from sgf_pipeline import batches
from sgf_pipeline.assets.fraud_cases import COMPARED, JUDGED_FROM, diversity
from sgf_pipeline.assets.stage_files import stage_path
from sgf_pipeline.definitions import build_definitions, lake_of
from sgf_pipeline.domain.cases import FraudCase
from sgf_pipeline.llm.backend import Completion, Prompt
from sgf_pipeline.llm.briefs import draw_briefs
from sgf_pipeline.llm.cache import DiskCaseCache, cache_key
from sgf_pipeline.llm.peft_backend import BUNDLED, PeftBackend
from sgf_pipeline.llm.recorded import recorded_cases
from sgf_pipeline.llm.taught import VECTORS_FILE, own_vectors
from sgf_pipeline.llm.writer import WrittenCase
from sgf_pipeline.partitions import shard_key
from sgf_pipeline.scenarios import scenario
from sgf_pipeline.settings import Settings
from sgf_pipeline.simulation import cases_needed
from sgf_pipeline_tests.building import QUIET, failure_text
from sgf_pipeline_tests.conftest import small_request
from sgf_pipeline_tests.llm.scripted import good_answer

CARD_TESTING = scenario("card_testing")


def write_cases(settings: Settings, instance: Any, name: str, **changes: Any) -> dg.ExecuteInProcessResult:
    """One run of ``fraud_cases`` alone."""
    request = small_request(f"gen_{name}", scenarios=["card_testing"], **changes)
    batches.register(lake_of(settings), request)
    instance.add_dynamic_partitions("batch_id", [request.batch_id])
    return (
        build_definitions(settings)
        .resolve_job_def("build_shard")
        .execute_in_process(
            partition_key=shard_key(request.batch_id, "card_testing"),
            instance=instance,
            asset_selection=[dg.AssetKey("fraud_cases")],
            raise_on_error=False,
            run_config=QUIET,
        )
    )


def shown(result: dg.ExecuteInProcessResult) -> dict[str, Any]:
    (made,) = result.asset_materializations_for_node("fraud_cases")
    return {name: value.value for name, value in made.metadata.items()}


def test_the_vectors_beside_an_adapter_are_asked_for(make_settings, instance, tmp_path: Path) -> None:
    """Guards SGF_PEFT_ADAPTER as the one value that a taught adapter needs. The bundled weights stand in for taught
    ones: they know the vector, and are asked for nothing else."""
    adapters = tmp_path / "adapters"
    shutil.copytree(BUNDLED / "adapters", adapters)
    vector = "donation_probe"
    briefs = [brief for brief in CARD_TESTING.matrix if brief.vector == vector]
    taught = own_vectors("card_testing", 1.0, [one.model_copy(update={"vector": f"{vector}__x"}) for one in briefs])
    assert taught is not None
    said = json.loads(taught.model_dump_json())
    said["vectors"] = {vector: said["vectors"].pop(f"{vector}__x")}
    (adapters / "card_testing" / VECTORS_FILE).write_text(json.dumps(said))
    settings = make_settings(sgf_peft_adapter=str(adapters))
    done = write_cases(settings, instance, "asked")
    assert done.success, failure_text(done)
    rows = lake_of(settings).read_rows(stage_path(lake_of(settings), "fraud_cases", "gen_asked", "card_testing"))
    assert {case.vector for case in recorded_cases(rows)} == {vector}


def test_a_rerun_asks_the_model_nothing(make_settings, instance, tmp_path: Path) -> None:
    """Guards against paying twice, and against a hit ratio that nobody can see."""
    settings = make_settings(sgf_cache_dir=tmp_path / "cache")
    first, again = (shown(write_cases(settings, instance, "twice")) for _ in range(2))
    assert first["calls"] > 0
    assert first["cache_hit_share"] == 0
    assert (again["calls"], again["cache_hit_share"]) == (0, 1)
    assert again["sha256"] == first["sha256"]


def test_cases_that_are_all_alike_fail_the_shard(make_settings, instance, tmp_path: Path) -> None:
    """Guards against a model that answers every brief with one plan. Its answers lie in the cache, so that the real
    one is not asked."""
    settings = make_settings(sgf_cache_dir=tmp_path / "cache")
    asked = small_request("gen_0", scenarios=["card_testing"], count=30_000, fraud_ratio=0.2)
    wanted = cases_needed("card_testing", asked.content.shard_counts()["card_testing"].fraudulent)
    assert wanted >= JUDGED_FROM
    cache, backend = DiskCaseCache(tmp_path / "cache" / "cases"), PeftBackend()
    for brief in draw_briefs(CARD_TESTING, wanted, asked.content.seed):
        alike = Completion(good_answer(brief), 10, 100)
        cache.set(cache_key(backend, Prompt(brief, 0, 1, asked.content.seed)), alike)
    done = write_cases(settings, instance, "alike", count=30_000, fraud_ratio=0.2)
    assert not done.success
    assert "repeats itself in card_testing: different 0." in failure_text(done)
    (answer,) = done.get_asset_check_evaluations()
    assert not answer.passed
    assert answer.metadata["coverage"].value == 1
    path = stage_path(lake_of(settings), "fraud_cases", "gen_alike", "card_testing")
    assert not path.exists()


def test_few_cases_are_not_judged(make_settings, instance) -> None:
    """Guards small batches: of ten cases two may be alike."""
    done = write_cases(make_settings(), instance, "few", count=200)
    assert done.success, failure_text(done)
    (answer,) = done.get_asset_check_evaluations()
    assert answer.passed
    assert answer.metadata["status"].value == "not assessed"


@pytest.mark.parametrize("missing", ["vector", "cells"])
def test_what_nobody_wrote_is_counted(missing: str) -> None:
    """Guards against a vector, or a part of the matrix, that a model cannot write and that is quietly left out."""
    briefs = draw_briefs(CARD_TESTING, 100, seed=1)
    kept = [
        brief
        for number, brief in enumerate(briefs)
        if (brief.vector != briefs[0].vector if missing == "vector" else number % 4)
    ]
    written = [WrittenCase(brief, FraudCase.model_validate_json(good_answer(brief)), 1, False, 0, 0) for brief in kept]
    found = diversity(written, briefs)
    assert found["coverage"] == pytest.approx(len(kept) / 100)
    assert (found["vectors"] < 1) == (missing == "vector")
    assert COMPARED >= JUDGED_FROM
