"""The remote provider against a real socket and the real SDK: every bad day ends well or in one clear sentence.

The server keeps an account book: what it answered is paid for, whether the answer arrived or not.
"""

import json
import logging
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sgf_pipeline.domain.errors import CostCapError, ModelError, ModelUnavailableError
from sgf_pipeline.llm.backend import Prompt
from sgf_pipeline.llm.briefs import draw_briefs
from sgf_pipeline.llm.cache import DiskCaseCache
from sgf_pipeline.llm.openai_backend import CASES_A_CALL, OpenAIBackend, Patience, answer_schema
from sgf_pipeline.llm.prices import Price, PriceTable, read_prices
from sgf_pipeline.llm.prompts import instructions
from sgf_pipeline.llm.writer import CaseWriter, WrittenCase
from sgf_pipeline.scenarios import SCENARIOS, scenario
from sgf_pipeline_tests.llm.chat_server import (
    INPUT_TOKENS,
    KEY,
    OUTPUT_TOKENS,
    REFUSAL,
    ChatServer,
    Question,
    Say,
    Script,
    good_case,
    serving,
)

PHISHING = scenario("phishing")
SEED = 11
QUICK = Patience(reply=1.0, connect=1.0, tries=4, first_pause=0.02, longest_pause=0.05, longest_wait=5.0)
CALL_USD = read_prices().models["gpt-4o-mini"].cost(INPUT_TOKENS, OUTPUT_TOKENS)


def backend(server: ChatServer, model: str = "gpt-4o-mini", patience: Patience = QUICK) -> OpenAIBackend:
    return OpenAIBackend(model, KEY, read_prices(), server.url, patience)


def write(
    server: ChatServer, cache: Path, n: int = 10, name: str = "phishing", **options: Any
) -> tuple[CaseWriter, list[WrittenCase]]:
    table = SCENARIOS[name]
    writer = CaseWriter(backend(server), DiskCaseCache(cache), SEED, **options)
    briefs = draw_briefs(table, n, SEED)
    return writer, writer.write_cases(briefs, iter(draw_briefs(table, 200, SEED, start=n)))


def once(say: Say, at: int = 1) -> Script:
    """The question that comes as number ``at`` has this bad day, once."""
    return lambda question: say if question.number == at else None


@pytest.mark.parametrize("name", SCENARIOS)
def test_every_scenario_is_asked_in_calls_of_several_cases(name: str, tmp_path: Path) -> None:
    """Guards the way from brief to case: order, tokens, cost, and a schema that good cases of each scenario meet."""
    with serving() as server:
        writer, cases = write(server, tmp_path, name=name)
        assert [one.case.model_dump(mode="json") for one in cases] == [
            good_case(brief) for brief in draw_briefs(SCENARIOS[name], 10, SEED)
        ]
        assert [len(question.briefs) for question in server.questions].count(CASES_A_CALL) == 2
        assert len(server.questions) == writer.usage.calls == 3
        assert writer.usage.input_tokens == 3 * INPUT_TOKENS
        assert writer.usage.output_tokens == 3 * OUTPUT_TOKENS
        assert writer.usage.cost_usd == pytest.approx(3 * CALL_USD)
        assert sum(one.cost_usd for one in cases) == pytest.approx(3 * CALL_USD)
        assert server.keys == {f"Bearer {KEY}"}
        assert all(question.body["messages"][0]["content"] == instructions(name) for question in server.questions)
        again, same = write(server, tmp_path, name=name)
        assert len(server.questions) == 3
        assert again.usage.cache_hits == 10
        assert [one.cost_usd for one in same] == [one.cost_usd for one in cases]
        assert again.usage.cost_usd == 0


NOT_TAKEN = {
    "429 for a second": Say(429, "rate_limit_exceeded", {"Retry-After": "0.2"}),
    "429 in milliseconds": Say(429, "rate_limit_exceeded", {"retry-after-ms": "100"}),
    "429 until a date": Say(429, "rate_limit_exceeded", {"Retry-After": "Mon, 01 Jan 2024 00:00:00 GMT"}),
    "429 and no word": Say(429),
    "500": Say(500, "server_error"),
    "503": Say(503),
    "409": Say(409),
}


@pytest.mark.parametrize("day", NOT_TAKEN)
def test_what_the_server_did_not_take_is_asked_again(day: str, tmp_path: Path) -> None:
    """Guards against a run that gives up at the first 429 or 500, and against paying twice."""
    with serving(once(NOT_TAKEN[day])) as server:
        writer, cases = write(server, tmp_path)
        assert len(cases) == 10
        assert writer.usage.first_try_valid == 10
        assert len(server.questions) == 4
        assert set(server.answered.values()) == {1}
        assert writer.usage.cost_usd == pytest.approx(3 * CALL_USD)


@pytest.mark.parametrize("status", [429, 500])
def test_nobody_comes_before_the_time_that_the_server_named(status: int, tmp_path: Path) -> None:
    """Guards Retry-After: who comes too early is turned out; after a 429 with any other question, too."""
    closed_at: list[float] = []

    def script(question: Question) -> Say | None:
        now = time.monotonic()
        if question.number == 6:
            closed_at.append(now)
            return Say(status, headers={"Retry-After": "1.6"})
        if not closed_at or (status == 500 and not question.before):
            return None
        # who had set out with another question before the notice reached him is let in
        first = closed_at[0] + (0 if question.before else 0.5)
        return Say(403) if first <= now < closed_at[0] + 1.5 else None

    with serving(script) as server:
        assert len(write(server, tmp_path, n=64)[1]) == 64


LOST = {
    "line cut within the reply": Say(cut=True),
    "no reply in time": Say(hang=True),
    "a page instead of a reply": Say(raw=b"<html>gateway</html>", headers={"Content-Type": "text/html"}),
    "JSON, but no completion": Say(raw=b'{"hello": 1}'),
    "nothing at all": Say(raw=b""),
    "a proxy that gave up": Say(504),
}


@pytest.mark.parametrize("day", LOST)
def test_a_lost_reply_is_asked_for_once_more_and_reckoned_twice(day: str, tmp_path: Path) -> None:
    """Guards against losing a batch to one cut line, and against a cap that does not see what that cost."""
    with serving(once(LOST[day])) as server:
        writer, cases = write(server, tmp_path)
        assert len(cases) == 10
        assert len(server.questions) == 4
        assert max(server.answered.values()) <= 2
        assert writer.usage.cost_usd > 3.5 * CALL_USD


@pytest.mark.parametrize("day", LOST)
def test_a_reply_lost_twice_ends_the_run_with_what_came_kept(day: str, tmp_path: Path) -> None:
    """Guards against paying for a question over and over: two askings, then a sentence, and no others are begun."""
    cursed = draw_briefs(PHISHING, 10, SEED)[0]

    def script(question: Question) -> Say | None:
        return LOST[day] if cursed in question.briefs else None

    with serving(script) as server:
        with pytest.raises(ModelError, match=r"lost two replies .*what arrived is kept"):
            write(server, tmp_path)
        assert max(server.answered.values()) <= 2
        before = len(server.questions)
        server.script = lambda question: None
        writer, cases = write(server, tmp_path)
        assert len(cases) == 10
        assert writer.usage.cache_hits == 6
        assert len(server.questions) == before + 1


def said(content: Callable[[Question], str], **options: Any) -> Script:
    """The first askings of phishing's questions are answered so, later ones well."""
    return lambda question: Say(content=content(question), **options) if question.number < 3 else None


def cases_of(question: Question) -> list[dict[str, Any]]:
    return list(question.cases)


BAD_ANSWERS: dict[str, tuple[Script, dict[str, int]]] = {
    "refusal": (lambda q: Say(refusal=REFUSAL) if q.number < 3 else None, {"refusal": 10}),
    "filtered": (said(lambda q: "", finish="content_filter"), {"refusal": 10}),
    "cut before the first case": (said(lambda q: '{"cases": [{"scena', finish="length"), {"truncated": 10}),
    "garbage": (said(lambda q: "as you wish: }{"), {"json": 10}),
    "other JSON": (said(lambda q: '{"plans": []}'), {"schema": 10}),
    "a list": (said(lambda q: "[1, 2]"), {"schema": 10}),
    "no case at all": (said(lambda q: '{"cases": []}'), {"json": 10}),
    "cases that are none": (said(lambda q: json.dumps({"cases": [7] * len(q.briefs)})), {"schema": 10}),
    "the first case missing": (said(lambda q: json.dumps({"cases": cases_of(q)[1:]})), {"json": 3}),
    "the last case missing": (said(lambda q: json.dumps({"cases": cases_of(q)[:-1]})), {"json": 3}),
    "too many": (said(lambda q: json.dumps({"cases": [*cases_of(q), cases_of(q)[0]]})), {}),
    "in another order": (said(lambda q: json.dumps({"cases": cases_of(q)[::-1]})), {"brief": 10}),
    "against the rules": (
        said(lambda q: json.dumps({"cases": [{**one, "steps": [step | {"high": 100.0} for step in one["steps"]]}
                                             for one in cases_of(q)]})), {"constraint": 10}
    ),
}  # fmt: skip


@pytest.mark.parametrize("day", BAD_ANSWERS)
def test_bad_answers_are_counted_by_kind_and_only_they_are_asked_again(day: str, tmp_path: Path) -> None:
    """Guards against repairing, miscounting or throwing away: a whole case stays good whatever is wrong beside it."""
    script, wanted = BAD_ANSWERS[day]
    with serving(script) as server:
        writer, cases = write(server, tmp_path)
        assert [one.brief for one in cases] == draw_briefs(PHISHING, 10, SEED)
        assert [one.case.model_dump(mode="json") for one in cases] == [good_case(one.brief) for one in cases]
        assert {reason: n for reason, n in writer.usage.rejected.items() if n} == wanted
        assert sum(len(question.briefs) for question in server.questions) == 10 + sum(wanted.values())
        assert set(server.answered.values()) == {1}
        assert writer.usage.cost_usd == pytest.approx(len(server.questions) * CALL_USD)


def test_whole_cases_before_a_cut_are_kept(tmp_path: Path) -> None:
    """Guards against paying again for three cases because the fourth was cut."""

    def script(question: Question) -> Say | None:
        whole = json.dumps({"cases": question.cases})
        return Say(content=whole[:-40], finish="length") if question.number < 3 else None

    with serving(script) as server:
        writer, cases = write(server, tmp_path)
        assert len(cases) == 10
        assert writer.usage.rejected["truncated"] == 3
        assert sum(writer.usage.rejected.values()) == 3


def test_a_cell_that_is_always_refused_gives_way_after_three_askings(tmp_path: Path) -> None:
    """Guards the bound on asking again: at most twice, in other words and with another seed, then another brief."""
    briefs = draw_briefs(PHISHING, 10, SEED)

    def script(question: Question) -> Say | None:
        return Say(refusal=REFUSAL) if briefs[0] in question.briefs else None

    with serving(script) as server:
        cases = write(server, tmp_path)[1]
        asked = [question for question in server.questions if briefs[0] in question.briefs]
        assert len(asked) == 3
        assert len({question.body["seed"] for question in asked}) == 3
        assert len({question.text for question in asked}) == 3
        assert len(cases) == 10
        assert briefs[0] not in [one.brief for one in cases]
        assert set(server.answered.values()) == {1}


FOR_GOOD = {
    "a wrong key": (Say(401, "invalid_api_key"), ModelError, "accept the key .401, invalid_api_key.*OPENAI_API_KEY"),
    "no rights": (Say(403, "permission_denied"), ModelError, "not open to this key"),
    "no such model": (Say(404, "model_not_found"), ModelError, "'?gpt-4o-mini'? .*does not exist .*--model"),
    "no credit": (Say(429, "insufficient_quota"), ModelError, "no credit left"),
    "a bad request": (Say(400, "invalid_json_schema"), ModelError, "refuses the question .400, invalid_json_schema"),
    "always too much": (Say(429, "rate_limit_exceeded"), ModelUnavailableError, "takes no questions .* asked 4 times"),
    "always broken": (Say(500), ModelUnavailableError, "takes no questions"),
    "a long wait": (Say(429, "x", {"Retry-After": "3600"}), ModelUnavailableError, "it asks for 3600 s"),
}  # fmt: skip


@pytest.mark.parametrize("day", FOR_GOOD)
def test_what_asking_again_does_not_mend_is_one_sentence(day: str, tmp_path: Path) -> None:
    """Guards against tracebacks, endless asking, and errors that repeat what the server says: the key is in it."""
    say, error, words = FOR_GOOD[day]
    with serving(lambda question: say) as server:
        with pytest.raises(error, match=words) as caught:
            write(server, tmp_path)
        assert not server.answered
        assert len(server.questions) <= 3 * QUICK.tries
        server.script = lambda question: None
        assert len(write(server, tmp_path)[1]) == 10
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__ or caught.value.__context__ is None
    for secret in (KEY, "at length", "You asked"):
        assert secret not in str(caught.value)


def test_after_a_failure_for_good_no_other_question_is_begun(tmp_path: Path) -> None:
    """Guards against money for answers of a run that is lost, and against a wrong key sent sixteen times."""
    with serving(lambda question: Say(401)) as server:
        with pytest.raises(ModelError):
            write(server, tmp_path, n=64)
        assert len(server.questions) <= 4  # those that were out at once


def test_nobody_at_the_address_is_one_sentence(tmp_path: Path) -> None:
    """Guards against a traceback, or an endless wait, where OPENAI_BASE_URL is wrong or the server is down."""
    with serving() as server:
        pass
    with pytest.raises(ModelUnavailableError, match="no connection"):
        write(server, tmp_path)


def test_answers_on_their_way_are_kept_when_another_question_fails(tmp_path: Path) -> None:
    """Guards against paying for answers that nobody waits for."""

    def script(question: Question) -> Say | None:
        everybody_is_here.wait(5)
        return Say(401) if question.number == 0 else None

    everybody_is_here = threading.Barrier(3)
    with serving(script) as server:
        with pytest.raises(ModelError):
            write(server, tmp_path)
        assert sum(server.answered.values()) == 2
        server.script = lambda question: None
        writer, _ = write(server, tmp_path)
        assert writer.usage.calls == 1
        assert set(server.answered.values()) == {1}


def test_a_server_that_is_asked_too_much_is_asked_more_slowly(tmp_path: Path) -> None:
    """Guards the adaptive concurrency: it grows while all is well and halves when the server refuses."""

    def at_ease(question: Question) -> Say | None:
        time.sleep(0.05)
        return None

    def crowded(question: Question) -> Say | None:
        time.sleep(0.05)
        return Say(429, headers={"Retry-After": "0.05"}) if server.at_once > 2 else None

    with serving(at_ease) as server:
        assert len(write(server, tmp_path, n=128)[1]) == 128
        assert 4 < server.most_at_once <= 16
    with serving(crowded) as server:
        assert len(write(server, tmp_path, n=128)[1]) == 128
        assert server.most_at_once <= 4
        assert set(server.answered.values()) == {1}
        assert len(server.questions) < 2 * 32


def test_the_cap_holds_before_money_is_spent_and_over_tries(tmp_path: Path) -> None:
    """Guards the cap: what the server answered never costs more, and a job that is tried again does not begin anew."""
    with serving(lambda question: Say(refusal=REFUSAL)) as server:
        quote = backend(server).quote([Prompt(one, 0, 1, SEED) for one in draw_briefs(PHISHING, 100, SEED)])
        with pytest.raises(CostCapError, match=r"max_cost_usd 0\.\d+ of this shard is not enough"):
            write(server, tmp_path, n=100, max_cost_usd=quote)
        spent = sum(server.answered.values()) * CALL_USD
        assert quote / 4 < spent <= quote
        server.script = lambda question: None
        with pytest.raises(CostCapError):
            write(server, tmp_path, n=100, max_cost_usd=quote, counts_cached=True)
        assert sum(server.answered.values()) * CALL_USD == pytest.approx(spent)
        assert len(write(server, tmp_path, n=100, max_cost_usd=quote)[1]) == 100


def test_a_quote_is_never_less_than_what_it_costs(tmp_path: Path) -> None:
    """Guards against a quote that a user is right not to believe."""
    for name, table in SCENARIOS.items():
        with serving() as server:
            estimate = backend(server).estimate([Prompt(one, 0, 1, SEED) for one in draw_briefs(table, 10, SEED)])
            writer, _ = write(server, tmp_path / name, name=name)
            assert (estimate.cases, estimate.calls) == (10, len(server.questions))
            assert estimate.cost_usd > writer.usage.cost_usd > 0
            assert estimate.output_tokens == sum(question.body["max_tokens"] for question in server.questions)


def test_a_model_a_scenario_is_asked_by_its_own_name(tmp_path: Path) -> None:
    """Guards the layout of a server with one adapter a scenario: {scenario} in the model's name."""
    with serving() as server:
        asked = backend(server, "fraud-{scenario}")
        prompts = [Prompt(table.matrix[0], 0, 1, SEED) for table in SCENARIOS.values()]
        assert sorted(place for place, _ in asked.complete(prompts)) == list(range(len(prompts)))
        assert {question.body["model"] for question in server.questions} == {f"fraud-{name}" for name in SCENARIOS}


def test_the_schema_is_what_strict_mode_takes() -> None:
    """Guards against keywords that OpenAI refuses (lengths, defaults), optional fields, and ranges for tuned models."""

    def walk(node: Any, forbidden: set[str]) -> None:
        if isinstance(node, list):
            for one in node:
                walk(one, forbidden)
        elif isinstance(node, dict):
            if node.get("type") == "object":
                assert node["additionalProperties"] is False
                assert node["required"] == list(node["properties"])
            assert not forbidden & set(node) - {"properties"}
            for key, value in node.items():
                walk(list(value.values()) if key in ("properties", "$defs") else value, forbidden)

    lengths = {"minLength", "maxLength", "default", "title", "allOf", "oneOf", "not", "if"}
    for name in SCENARIOS:
        walk(answer_schema(name, 4), lengths)
        tuned = {"pattern", "minimum", "maximum", "minItems", "maxItems"}
        walk(answer_schema(name, 4, is_fine_tuned=True), lengths | tuned)
        cases = answer_schema(name, 3)["properties"]["cases"]
        assert (cases["minItems"], cases["maxItems"]) == (3, 3)
        assert cases["items"]["properties"]["scenario"]["enum"] == [name]


def test_prices_of_snapshots_thinking_and_the_cache() -> None:
    """Guards the arithmetic of money: snapshots cost what their model does, cached input less, thinking is allowed."""
    table = read_prices()
    assert table.of("gpt-4o-mini-2024-07-18") == table.of("gpt-4o-mini") == table.models["gpt-4o-mini"]
    assert table.of("gpt-4o-mini-audio") is None
    price = Price(input=2.0, cached_input=0.5, output=8.0, reasoning_tokens=1000)
    assert price.cost(1_000_000, 1_000_000, 400_000) == pytest.approx(1.2 + 0.2 + 8.0)
    thinking = OpenAIBackend("m", None, PriceTable(models={"m": price}))
    plain = OpenAIBackend("m", None, PriceTable(models={"m": price.model_copy(update={"reasoning_tokens": 0})}))
    prompts = [Prompt(PHISHING.matrix[0], 0, 1, SEED)]
    assert thinking.estimate(prompts).output_tokens == plain.estimate(prompts).output_tokens + 1000


def test_no_listener_hears_key_question_or_answer(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Guards the logs: at DEBUG the SDK and its HTTP client tell whole questions, headers and URLs."""
    with caplog.at_level(logging.DEBUG):
        for name in ("openai", "httpx2", "httpcore2"):
            logging.getLogger(name).setLevel(logging.NOTSET)
        with serving(once(Say(500))) as server:
            write(server, tmp_path)
        text = caplog.text
    for secret in (KEY, "fraud cases: short plans", "victim_segment", "/v1", good_case(PHISHING.matrix[0])["story"]):
        assert secret not in text
