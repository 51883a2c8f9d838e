"""The case writer's promises: bad answers are asked again, then replaced, never repaired, and all are counted."""

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from sgf_pipeline.domain.errors import CostCapError, ModelError, ModelUnavailableError
from sgf_pipeline.llm.backend import Completion, Prompt
from sgf_pipeline.llm.briefs import draw_briefs
from sgf_pipeline.llm.cache import DiskCaseCache
from sgf_pipeline.llm.writer import CaseWriter, Rejection, validate_answer
from sgf_pipeline.scenarios import scenario
from sgf_pipeline_tests.llm.scripted import ScriptedBackend, good_answer, good_fields

CARD_TESTING = scenario("card_testing")
BRIEF = next(brief for brief in CARD_TESTING.matrix if brief.channel == "ecommerce")

BROKEN: dict[str, Callable[[Prompt], str]] = {
    "json": lambda prompt: good_answer(prompt.brief)[:-2],
    "schema": lambda prompt: json.dumps(good_fields(prompt.brief) | {"customers": 4.5}),
    "constraint": lambda prompt: json.dumps(good_fields(prompt.brief) | {"customers": 2}),
    "brief": lambda prompt: json.dumps(
        good_fields(prompt.brief) | {"tempo": "slow" if prompt.brief.tempo == "burst" else "burst"}
    ),
}


def write(backend: ScriptedBackend, cache: Path, n: int = 5, spare: int = 40) -> tuple[CaseWriter, list[object]]:
    writer = CaseWriter(backend, DiskCaseCache(cache), seed=3)
    briefs = draw_briefs(CARD_TESTING, n, seed=3)
    return writer, list(writer.write_cases(briefs, iter(draw_briefs(CARD_TESTING, spare, seed=3, start=n))))


@pytest.mark.parametrize("reason", BROKEN)
def test_each_fault_is_named(reason: str) -> None:
    """Guards against a fault that is counted under another name, or accepted."""
    answer = validate_answer(BROKEN[reason](Prompt(BRIEF, 0, 1, 0)), BRIEF, CARD_TESTING)
    assert isinstance(answer, Rejection)
    assert answer.reason == reason


def test_nothing_is_repaired() -> None:
    """Guards against lenient parsing: a number as text, or an extra key, is a fault and no near miss."""
    for change in ({"customers": "4"}, {"comment": "as asked"}):
        answer = validate_answer(json.dumps(good_fields(BRIEF) | change), BRIEF, CARD_TESTING)
        assert isinstance(answer, Rejection)
        assert answer.reason == "schema"


@pytest.mark.parametrize("reason", BROKEN)
def test_a_bad_first_answer_is_asked_again(reason: str, tmp_path: Path) -> None:
    """Guards against giving up at the first fault, and against asking again for what was good."""
    backend = ScriptedBackend(lambda p: BROKEN[reason](p) if p.attempt == 1 else good_answer(p.brief))
    writer, cases = write(backend, tmp_path)
    assert [case.attempts for case in cases] == [2] * 5
    assert [case.brief for case in cases] == draw_briefs(CARD_TESTING, 5, seed=3)
    assert writer.usage.rejected[reason] == 5
    assert sum(writer.usage.rejected.values()) == 5
    assert writer.usage.first_try_valid == 0
    assert writer.usage.calls == 2
    assert [case.output_tokens for case in cases] == [200] * 5


def test_a_brief_that_keeps_failing_is_replaced(tmp_path: Path) -> None:
    """Guards against endless asking, and against a replacement that takes another case's place in the order."""
    briefs = draw_briefs(CARD_TESTING, 5, seed=3)
    cursed = briefs[2]
    backend = ScriptedBackend(lambda p: "no" if p.brief == cursed else good_answer(p.brief))
    writer, cases = write(backend, tmp_path)
    fresh = draw_briefs(CARD_TESTING, 1, seed=3, start=5)[0]
    assert [case.brief for case in cases] == [*briefs[:2], fresh, *briefs[3:]]
    assert cases[2].attempts == 4
    assert writer.usage.rejected["json"] == 3
    assert writer.usage.first_try_valid == 4


def test_a_hopeless_model_ends_in_one_sentence(tmp_path: Path) -> None:
    """Guards against a run that never ends, or ends without saying what to do."""
    backend = ScriptedBackend(BROKEN["constraint"])
    with pytest.raises(ModelError, match=r"scripted gave no acceptable case .* constraint .* use an adapter"):
        write(backend, tmp_path)
    assert len(backend.batches) <= 18  # three attempts for the brief and for each of five fresh ones


def test_running_out_of_replacements_is_an_error(tmp_path: Path) -> None:
    """Guards against returning fewer cases than were asked for."""
    with pytest.raises(ModelError, match="no acceptable case"):
        write(ScriptedBackend(lambda prompt: "no"), tmp_path, spare=0)


def test_a_second_run_asks_nothing(tmp_path: Path) -> None:
    """Guards against paying twice: rejected answers are cached as well, so the whole course is repeated from disk."""
    script = lambda p: "no" if p.attempt == 1 else good_answer(p.brief)  # noqa: E731
    first_writer, first = write(ScriptedBackend(script), tmp_path)
    backend = ScriptedBackend(script)
    writer, second = write(backend, tmp_path)
    assert backend.batches == []
    assert writer.usage.calls == 0
    assert writer.usage.cache_hits == 10
    assert writer.usage.cost_usd == 0
    assert first_writer.usage.cost_usd == pytest.approx(0.01)
    assert [case.case for case in first] == [case.case for case in second]
    assert all(case.from_cache for case in second)
    assert not any(case.from_cache for case in first)


def test_the_same_cell_asked_twice_is_asked_as_another_question(tmp_path: Path) -> None:
    """Guards against large batches, which go around the matrix more than once, getting every case twice."""
    backend = ScriptedBackend(lambda p: good_answer(p.brief))
    writer = CaseWriter(backend, DiskCaseCache(tmp_path), seed=3)
    writer.write_cases([BRIEF, BRIEF, BRIEF], iter([]))
    assert [prompt.repeat for prompt in backend.batches[0]] == [0, 1, 2]
    assert writer.usage.cache_hits == 0


def test_batches_are_no_larger_than_the_backend_wants(tmp_path: Path) -> None:
    """Guards against one huge call, and against a count of calls that is not the count of batches."""
    backend = ScriptedBackend(lambda p: good_answer(p.brief))
    writer, cases = write(backend, tmp_path, n=20)
    assert [len(batch) for batch in backend.batches] == [8, 8, 4]
    assert writer.usage.calls == 3
    assert len(cases) == 20


def test_what_was_answered_before_a_server_went_away_is_not_asked_again(tmp_path: Path) -> None:
    """Guards against paying twice: a batch of which half had come before the connection broke."""

    class Broken(ScriptedBackend):
        def complete(self, prompts: Sequence[Prompt]) -> Iterator[tuple[int, Completion]]:
            for place, completion in super().complete(prompts):
                if place == 3:
                    raise ModelUnavailableError("the line is dead")
                yield place, completion

    with pytest.raises(ModelUnavailableError):
        write(Broken(lambda p: good_answer(p.brief)), tmp_path, n=5)
    backend = ScriptedBackend(lambda p: good_answer(p.brief))
    writer, _ = write(backend, tmp_path, n=5)
    assert [len(batch) for batch in backend.batches] == [2]
    assert writer.usage.cache_hits == 3


def test_no_question_is_asked_that_may_cost_more_than_is_left(tmp_path: Path) -> None:
    """Guards the cap on cost: it holds before the money is spent, and what was paid for is kept."""
    backend = ScriptedBackend(lambda p: good_answer(p.brief))
    briefs = draw_briefs(CARD_TESTING, 20, seed=3)
    capped = CaseWriter(backend, DiskCaseCache(tmp_path), seed=3, max_cost_usd=0.017)
    with pytest.raises(CostCapError, match=r"max_cost_usd 0\.0170 .* 0\.0160 USD are spent"):
        capped.write_cases(briefs, iter([]))
    assert [len(batch) for batch in backend.batches] == [8, 8]
    again = CaseWriter(backend, DiskCaseCache(tmp_path), seed=3, max_cost_usd=0.017)
    assert len(again.write_cases(briefs, iter([]))) == 20
    assert again.usage.cost_usd == pytest.approx(0.004)


def test_what_the_server_itself_calls_no_answer_is_counted_as_that(tmp_path: Path) -> None:
    """Guards against refusals and cut answers that are counted as broken JSON, or accepted."""

    class Refusing(ScriptedBackend):
        def complete(self, prompts: Sequence[Prompt]) -> Iterator[tuple[int, Completion]]:
            for place, completion in super().complete(prompts):
                yield place, replace(completion, fault="refusal" if prompts[place].attempt == 1 else None)

    for _ in range(2):  # the second time from the cache
        writer, cases = write(Refusing(lambda p: good_answer(p.brief)), tmp_path, n=3)
        assert len(cases) == 3
        assert {reason: n for reason, n in writer.usage.rejected.items() if n} == {"refusal": 3}
