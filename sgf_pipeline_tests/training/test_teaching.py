"""Teaching one's own fraud, from the command down: a few steps of real training, accepted or refused."""

import base64
import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from sgf_pipeline.cli.main import app
from sgf_pipeline.domain.errors import InvalidRequestError, ModelError
from sgf_pipeline.llm.backend import Prompt, in_order
from sgf_pipeline.llm.peft_backend import BUNDLED, PeftBackend
from sgf_pipeline.llm.taught import VECTORS_FILE, read_taught
from sgf_pipeline.llm.weights import SEALED_FILE, WEIGHTS_FILE
from sgf_pipeline.scenarios import SCENARIOS, scenario
from sgf_pipeline.training.own_cases import read_own_cases
from sgf_pipeline.training.teaching import LEAST_CASES, SHARED_BY, Lesson, Verdict, teach
from sgf_pipeline_tests.own_fraud import STORIES, VECTOR, own_cases, write_own_cases

KEY = bytes(range(32))


@pytest.fixture
def environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Folders of this test alone, for the command."""
    for name, folder in {"DAGSTER_HOME": "home", "SGF_STORAGE_URL": "lake", "SGF_CACHE_DIR": "cache"}.items():
        monkeypatch.setenv(name, str(tmp_path / folder))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def known_cases(folder: Path, count: int = 60) -> Path:
    """Cases of vectors that the bundled model knows: so few steps are enough to be accepted."""
    folder.mkdir()
    lines = [json.dumps(case | {"vector": "bank_impersonation"}) + "\n" for case in own_cases(count)]
    (folder / "cases.jsonl").write_text("".join([*lines, lines[0]]))
    return folder


def command(*words: str) -> Any:
    return CliRunner().invoke(app, ["model", "train", *words])


def test_an_adapter_is_trained_and_used_by_setting_one_value(
    environment: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Guards the whole way: command, training, checks, the folder that SGF_PEFT_ADAPTER names with every scenario in
    it, and, as SGF_PARQUET_KEY is set, no weight in clear on the way."""
    monkeypatch.setenv("SGF_PARQUET_KEY", base64.b64encode(KEY).decode())
    done = command(
        "--scenario", "phishing", "--cases", str(known_cases(environment / "own")), "--steps", "8", "--json"
    )  # fmt: skip
    assert done.exit_code == 0, (done.output, done.exception)
    said = json.loads(done.stdout)
    assert said["checks"] == {"valid": True, "learned": True, "memorisation": True}
    figures = said["figures"]
    assert (figures["own_cases"], figures["duplicates"], figures["held_out_cases"]) == (60, 1, 12)
    assert figures["stories_not_taught"] == 5
    assert figures["loss_held_out"] < figures["loss_base"]
    folder = Path(said["folder"])
    assert sorted(path.name for path in folder.iterdir()) == sorted(SCENARIOS)
    assert (folder / "phishing" / SEALED_FILE).is_file()
    assert not (folder / "phishing" / WEIGHTS_FILE).exists()
    assert not (folder / "phishing" / VECTORS_FILE).exists()
    backend = PeftBackend(None, folder, KEY)
    for name in ("phishing", "card_testing"):
        prompts = [Prompt(brief, 0, 1, 0) for brief in scenario(name).matrix[:4]]
        assert all(answer.text.startswith("{") for answer in in_order(backend, prompts))


def test_the_command_says_what_is_wrong(environment: Path) -> None:
    """Guards against a traceback, or an adapter, made of cases that nobody may teach."""
    own = known_cases(environment / "own")
    (own / "more.jsonl").write_text(json.dumps(own_cases(1)[0] | {"story": "Call +33 1 99 00 12 34 to ask."}) + "\n")
    for words, said in (
        (("--scenario", "phishing", "--cases", str(own)), "more.jsonl line 1: story holds what looks like a telephone"),
        (("--scenario", "arson", "--cases", str(own)), "arson"),
        (("--scenario", "phishing", "--cases", str(own / "absent")), "does not exist"),
        (("--scenario", "phishing", "--cases", str(own), "--share", "0"), "share 0 is not"),
    ):
        refused = command(*words)
        assert isinstance(refused.exception, InvalidRequestError)
        assert said in str(refused.exception)
        assert "99 00 12 34" not in refused.output + str(refused.exception)
    assert not (environment / "cache" / "models" / "taught").exists()


def test_too_few_cases_are_refused_before_training(tmp_path: Path) -> None:
    """Guards against an adapter of which nothing can be measured."""
    own = read_own_cases(write_own_cases(tmp_path / "own", LEAST_CASES - 1))
    for name in ("phishing", "card_testing"):
        with pytest.raises(InvalidRequestError, match=rf"of {name}: give at least {LEAST_CASES}"):
            teach(name, own, tmp_path / "out")


@pytest.fixture(scope="module")
def unlearned(tmp_path_factory: pytest.TempPathFactory) -> Lesson:
    """Two steps on cases of a vector that no model can know by then."""
    folder = tmp_path_factory.mktemp("unlearned")
    own = read_own_cases(write_own_cases(folder / "own", 40))
    return teach("phishing", own, folder / "out", steps=2, asked_own=32, asked_stock=32)


def test_an_adapter_that_does_not_answer_is_refused_and_not_kept(unlearned: Lesson) -> None:
    """Guards against a batch that asks three times, and then for other briefs, because training was cut short."""
    assert unlearned.figures["valid_own"] < 0.05
    assert unlearned.figures["valid_own_bundled_adapter"] < 0.05
    assert not next(one for one in unlearned.verdicts if one.name == "valid").passed
    taught = read_taught(unlearned.aside, "phishing")
    assert taught is not None
    assert list(taught.vectors) == [VECTOR]
    with pytest.raises(ModelError, match="valid at the first try 0%"):
        unlearned.accept(BUNDLED / "adapters")
    assert list(unlearned.out.iterdir()) == []


def test_an_accepted_adapter_replaces_its_own_scenario_alone(tmp_path: Path) -> None:
    """Guards against teaching a second scenario at the price of the first."""
    out = tmp_path / "out"
    for name, weights in (("phishing", b"first"), ("card_testing", b"second"), ("phishing", b"third")):
        aside = out / f".{name}"
        (aside / name).mkdir(parents=True)
        (aside / name / "adapter_config.json").write_text("{}")
        (aside / name / WEIGHTS_FILE).write_bytes(weights)
        Lesson(name, out, aside, {}, (Verdict("valid", True, ""),)).accept(BUNDLED / "adapters")  # type: ignore[arg-type]
    assert (out / "phishing" / WEIGHTS_FILE).read_bytes() == b"third"
    assert (out / "card_testing" / WEIGHTS_FILE).read_bytes() == b"second"
    assert sorted(path.name for path in out.iterdir()) == sorted(SCENARIOS)


def test_no_story_of_a_single_case_is_taught(tmp_path: Path) -> None:
    """Guards what tells of one incident: only wordings of several cases, and the bundled ones, are learned."""
    from sgf_pipeline.training.teaching import _told, _variants

    own = read_own_cases(write_own_cases(tmp_path, 60)).of("phishing")
    told, replaced = _told(own, seed=0)
    assert replaced == 5
    stories = {example.case.story for example in _variants(told, 300, seed=0)}
    assert not any(story.startswith("Case ") for story in stories)
    assert stories & set(STORIES)
    assert all(
        sum(one.case.story == story for one in own) >= SHARED_BY for story in stories & {o.case.story for o in own}
    )


def test_variants_are_valid_and_no_copies(tmp_path: Path) -> None:
    """Guards against teaching a user's exact figures, or cases that break the rules."""
    from sgf_pipeline.training.teaching import _variants

    own = read_own_cases(write_own_cases(tmp_path, 40)).of("phishing")
    variants = _variants(own, 400, seed=1)
    table = scenario("phishing")
    assert all(not table.violations(one.case) and one.case.follows(one.brief) for one in variants)
    exact = {example.case.case_id for example in own}
    assert sum(one.case.case_id in exact for one in variants) <= 4
    assert [step.kind for step in variants[0].case.steps] == [step.kind for step in own[0].case.steps]
