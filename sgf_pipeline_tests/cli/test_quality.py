"""``sgf quality`` as a user runs it, and the lines that it gathers from detectors and audit."""

import json
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pytest
from typer.testing import CliRunner, Result

from sgf_pipeline.cli import scoreboard
from sgf_pipeline.cli.main import app
from sgf_pipeline.cli.scoreboard import audit_lines, detector_lines
from sgf_pipeline.domain.errors import InvalidRequestError
from sgf_pipeline.quality.realism import LINES
from sgf_pipeline.quality.shortcuts import Finding
from sgf_pipeline_tests.hand_written import content

# Both commands ask the model for the same cases, so that it writes them once.
SMALL = ("--rows", "1500", "--seed", "1", "--scenarios", "chargeback_fraud")
BEGIN, END = "<!-- sgf quality scoreboard: begin -->", "<!-- sgf quality scoreboard: end -->"


@pytest.fixture
def sgf(case_cache: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    """The command as ``sgf`` runs it, in this process; an error of ours is left in the result."""
    monkeypatch.setenv("SGF_CACHE_DIR", str(case_cache))
    return lambda *options: CliRunner().invoke(app, ["quality", *options])


def test_the_scoreboard_is_one_json_line_and_a_table_in_the_page(tmp_path, sgf, monkeypatch):
    """Guards scripts that read the lines, the page that shows them, and folders in which nothing may be left behind."""
    monkeypatch.chdir(tmp_path)
    page = tmp_path / "page.md"
    page.write_text(f"before\n{BEGIN}\nan old table\n{END}\nafter\n")
    options = (*SMALL, "--currency", "JPY", "--countries", "JP,US", "--json", "--markdown", str(page))
    done = sgf("scoreboard", *options)
    assert done.exit_code == 0, done.output
    assert done.stdout.count("\n") == 1
    result = json.loads(done.stdout)
    assert (result["currency"], result["countries"], result["in_goal"]) == ("JPY", ["JP", "US"], True)
    [reading] = result["readings"]
    assert (reading["rows"], reading["seed"]) == (1500, 1)
    names = [line["name"] for line in reading["lines"]]
    assert names[: len(LINES)] == [line.name for line in LINES]
    assert {"rows_auc", "windows_gain", "disputes_auc", "audit row order"} <= set(names)
    written = page.read_text()
    assert written.startswith(f"before\n{BEGIN}\n")
    assert written.endswith(f"{END}\nafter\n")
    assert "an old table" not in written
    assert "### 1,500 rows" in written
    assert len([row for row in written.splitlines() if row.startswith("|")]) == 2 + len(names)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["page.md"]


def test_difficulty_is_measured_at_every_level(tmp_path, sgf):
    """Guards the table of difficulties: every level is built, and what is too small to be assessed is no failure."""
    page = tmp_path / "page.md"
    page.write_text("<!-- sgf quality difficulty: begin -->\n<!-- sgf quality difficulty: end -->\n")
    done = sgf("difficulty", *SMALL, "--json", "--markdown", str(page))
    assert done.exit_code == 0, done.output
    result = json.loads(done.stdout)
    assert {point["difficulty"] for point in result["points"]} == {0, 0.25, 0.5, 0.75, 1}
    assert result["flat"] == []
    assert page.read_text().count("| chargeback_fraud |") == 2


def test_a_page_without_a_place_is_refused_before_anything_is_built(tmp_path, sgf):
    """Guards an hour of work from being lost because its table has nowhere to go."""
    (tmp_path / "page.md").write_text("nothing here\n")
    done = sgf("scoreboard", "--markdown", str(tmp_path / "page.md"))
    assert isinstance(done.exception, InvalidRequestError)
    assert "has no place for the table" in str(done.exception)
    assert "rows, seed" not in done.stderr


def finding(name: str, shard: str, estimate: float, bound: float | None, limit: float | None, status: str) -> Finding:
    return Finding(name, shard, status, "a rule", "AUC", estimate, bound, limit)  # type: ignore[arg-type]


def test_the_audits_line_is_that_of_the_worst_shard_and_agrees_with_its_verdict():
    """Guards against a table that says "in" where the audit fails, or the other way round."""
    lines = {
        line.name: line
        for line in audit_lines([
            finding("row order", "phishing", 0.58, 0.55, 0.6, "passed"),
            finding("row order", "card_testing", 0.70, 0.66, 0.6, "failed"),
            finding("id shape", "phishing", 0.62, 0.57, 0.6, "passed"),
            finding("decimals", "phishing", 0.9, None, None, "reported"),
            finding("shared device_id", "pooled", 0.20, 0.24, 0.22, "passed"),
            finding("shared ip_address", "pooled", 0.20, 0.21, 0.22, "failed"),
            finding("one-column AUC", "phishing", 0.99, 0.98, None, "reported"),
            finding("one-column AUC", "pooled", 0.80, 0.78, 0.85, "passed"),
        ])
    }  # fmt: skip
    assert (lines["audit row order"].value, lines["audit row order"].in_goal) == (0.70, False)
    assert "card_testing" in lines["audit row order"].scope
    assert lines["audit id shape"].in_goal  # 0.62 is past 0.6, its bound is not
    assert not lines["audit decimals"].judged
    assert not lines["audit one-column AUC"].judged
    assert lines["audit pooled one-column AUC"].judged
    assert lines["audit shared device_id, fraud − legitimate"].in_goal
    assert not lines["audit shared ip_address, fraud − legitimate"].in_goal


def test_too_few_frauds_for_a_detector_are_not_judged():
    """Guards small batches against an error of the detectors, and against a figure that says nothing."""
    lines = detector_lines(pd.DataFrame({"is_fraud": [True, False]}), content())
    assert [line.judged for line in lines] == [False, False, False]


@pytest.mark.parametrize(("count", "low"), [(10_000, None), (50_000, 0.70)])
def test_a_detector_that_learned_from_few_frauds_is_held_to_no_lower_goal(count: int, low: float | None):
    """Guards against blaming the data for what a detector had no time to learn; a leak is blamed at any size."""
    line = detector_lines(pd.DataFrame({"is_fraud": [True, False]}), content(count=count))[0]
    assert (line.low, line.high) == (low, 0.90)


def test_a_sample_for_detectors_keeps_whole_customers(monkeypatch: pytest.MonkeyPatch):
    """Guards behaviour features: a customer without half of his rows has another behaviour."""
    monkeypatch.setattr(scoreboard, "DETECTOR_ROWS", 2_000)
    customers = [f"cus_{number % 400}" for number in range(4_000)]
    table = pa.table({"customer_id": pa.array(customers).dictionary_encode(), "row": range(4_000)})
    sample = scoreboard._for_detectors(content(count=4_000), {"phishing": table})
    assert 1_000 < len(sample) < 3_000
    assert set(sample["customer_id"].astype(str).value_counts()) == {10}
    assert set(sample["shard"]) == {"phishing"}
