"""The remote backend: OpenAI, or any server that speaks its chat API, by the ``openai`` SDK.

Belongs here: questions, the schema that answers are held to, pace, patience, and what each bad day of the wire means.
Does not belong here: whether a case is good and when it is asked for again (``writer``), what the model reads
(``prompts``), and prices.

A model that knows nothing of cases gets instructions and is asked for several at a time, by the chat API. A model that
SGF trained is asked as it learned it: one brief a question, by the completions API.

Money is spent when a server answers, not when the answer arrives. So a question is sent again freely as long as the
server cannot have worked on it (no connection, 429, 5xx), but only once after a reply that was lost on the way: a line
cut, a time-out, a page that is no answer. That repeat is reckoned as if both had been paid for. When a question fails
for good no further ones are sent; those that are out are waited for, and their answers kept.
"""

import asyncio
import contextlib
import hashlib
import json
import logging
import queue
import re
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from functools import cache
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from sgf_pipeline.domain.cases import FraudCase
from sgf_pipeline.domain.errors import ModelError, ModelUnavailableError, SgfError
from sgf_pipeline.domain.randomness import rng
from sgf_pipeline.domain.scenario_names import ScenarioName
from sgf_pipeline.llm.backend import Completion, Estimate, Fault, Prompt
from sgf_pipeline.llm.pace import Pace
from sgf_pipeline.llm.prices import Price, PriceTable
from sgf_pipeline.llm.prompts import INSTRUCTIONS_VERSION, instructions, prompt_text, question
from sgf_pipeline.scenarios import scenario as scenario_of

if TYPE_CHECKING:
    import openai

BASE_URL = "https://api.openai.com/v1"
CASES_A_CALL = 4  # instructions are some 1,500 tokens, a case some 300: one call a case would pay mostly for reading
BATCH_ROWS = 64
FIRST_CALLS, MOST_CALLS = 4.0, 16  # out at once
# A case of twelve steps in the layout that a model likes is some 900 tokens; what is longer is cut, and counts as that.
MOST_TOKENS_A_CASE = 1200
TEMPERATURE = 0.5  # of models that SGF trained: as on one's own machine (peft_backend)
# Texts of English and JSON are 3 to 4 bytes a token for models of today; the quote must not be passed.
BYTES_A_TOKEN = 2

# Of JSON Schema, strict mode knows neither lengths of texts nor defaults, and a fine-tuned model no ranges either.
# https://developers.openai.com/api/docs/guides/structured-outputs, "Supported schemas"
_NEVER_SENT = ("title", "default", "minLength", "maxLength")
_NOT_FOR_FINE_TUNED = ("pattern", "minimum", "maximum", "minItems", "maxItems")

# These tell URLs, headers and whole questions to whoever listens for DEBUG or INFO.
_TALKATIVE = ("openai", "httpx2", "httpcore2", "httpx", "httpcore")


@dataclass(frozen=True)
class Patience:
    """How long a server is waited for, in seconds, and how often it is asked.

    ``reply`` is for one question from the first byte sent to the last received, ``connect`` for reaching the server.
    ``tries`` counts all askings of a question that the server did not take; the pauses between double from
    ``first_pause`` to ``longest_pause``. A server that asks for more than ``longest_wait`` is given up at once.
    """

    reply: float = 120.0
    connect: float = 10.0
    tries: int = 7
    first_pause: float = 0.5
    longest_pause: float = 8.0
    longest_wait: float = 90.0


class _NotTakenError(Exception):
    """The server did not take the question: it may be asked again, after ``wait`` seconds where it says so."""

    def __init__(self, what: str, wait: float | None = None, slow_down: bool = False) -> None:
        super().__init__(what)
        self.wait = wait
        self.slow_down = slow_down


class _ReplyLostError(Exception):
    """The server may have answered, but the answer did not arrive."""


@dataclass(frozen=True)
class _Reply:
    """What a chat completion says. ``text`` is empty where the model refused."""

    text: str
    fault: Fault | None
    input_tokens: int
    cached_tokens: int
    output_tokens: int


@dataclass(frozen=True)
class _Call:
    """One question for one case or more of one scenario, with the prompts' places."""

    places: tuple[int, ...]
    prompts: tuple[Prompt, ...]

    @property
    def scenario(self) -> ScenarioName:
        return self.prompts[0].brief.scenario

    @property
    def seed(self) -> int:
        """31 bits of everything that tells this question from others."""
        parts = [(one.seed, one.brief.key, one.repeat, one.attempt) for one in self.prompts]
        return int.from_bytes(hashlib.sha256(repr(parts).encode()).digest()[:4], "big") >> 1


class _Round:
    """One ``complete``: what is to be handed out, and the error that ends it."""

    def __init__(self) -> None:
        self.out: queue.SimpleQueue[tuple[int, Completion] | Exception | None] = queue.SimpleQueue()
        self.failed: SgfError | None = None
        self.loop: asyncio.AbstractEventLoop | None = None
        self.task: asyncio.Task[None] | None = None


class OpenAIBackend:
    """A model behind OpenAI's API.

    ``model`` may hold ``{scenario}``, which every question replaces by its own: a server that holds one LoRA adapter a
    scenario names each like a model. ``is_trained`` says that it learned SGF's briefs. ``base_url`` is OpenAI's own
    when it is None. The key is sent to that server and shown nowhere.
    """

    provider = "openai"
    batch_rows = BATCH_ROWS

    def __init__(
        self, model: str, api_key: str | None, prices: PriceTable, base_url: str | None = None,
        patience: Patience | None = None, is_trained: bool = False,
    ) -> None:  # fmt: skip
        self.name = model
        self._api_key = api_key or "none"  # the SDK insists on one; servers of one's own want none
        self._prices = prices
        self.is_trained = is_trained
        self.cases_a_call = 1 if is_trained else CASES_A_CALL
        self._base_url = (base_url or BASE_URL).rstrip("/")
        self._patience = patience or Patience()
        self._calls_at_once = FIRST_CALLS

    @property
    def sampling(self) -> str:
        """What an answer depends on besides the model: the same settings as with a model of one's own, or none."""
        if self.is_trained:
            return f"brief,temperature={TEMPERATURE},max_tokens={MOST_TOKENS_A_CASE},seeded"
        return f"instructions={INSTRUCTIONS_VERSION},cases_a_call={CASES_A_CALL},max_tokens={MOST_TOKENS_A_CASE},seeded"

    @property
    def fingerprint(self) -> str:
        """First 16 hex digits of the SHA-256 of address and model: all that is known of weights that lie elsewhere."""
        return hashlib.sha256(f"{self._base_url} {self.name}".encode()).hexdigest()[:16]

    def model(self, scenario: ScenarioName) -> str:
        """The model that is asked for this scenario's cases."""
        return self.name.replace("{scenario}", scenario)

    def price(self, scenario: ScenarioName) -> Price | None:
        """What that model costs; None where no table says so."""
        return self._prices.of(self.model(scenario))

    def quote(self, prompts: Sequence[Prompt]) -> float:
        return self.estimate(prompts).cost_usd

    def estimate(self, prompts: Sequence[Prompt]) -> Estimate:
        """The most that asking these once takes, whatever the answers are."""
        calls = self._calls(prompts)
        tokens = [self._most_tokens(call) for call in calls]
        return Estimate(
            cases=len(prompts), calls=len(calls),
            input_tokens=sum(one for one, _ in tokens), output_tokens=sum(one for _, one in tokens),
            cost_usd=sum(self._most_cost(call) for call in calls),
        )  # fmt: skip

    def complete(self, prompts: Sequence[Prompt]) -> Iterator[tuple[int, Completion]]:
        asking = _Round()
        thread = threading.Thread(
            target=self._run, args=(asking, self._calls(prompts)), name="openai-backend", daemon=True
        )
        thread.start()
        try:
            while (one := asking.out.get()) is not None:
                if isinstance(one, Exception):
                    raise one
                yield one
        finally:
            if thread.is_alive() and asking.loop is not None and asking.task is not None:
                with contextlib.suppress(RuntimeError):  # the loop has just ended by itself
                    asking.loop.call_soon_threadsafe(asking.task.cancel)
            thread.join()

    def _calls(self, prompts: Sequence[Prompt]) -> list[_Call]:
        calls = []
        for name in dict.fromkeys(prompt.brief.scenario for prompt in prompts):
            places = [place for place, prompt in enumerate(prompts) if prompt.brief.scenario == name]
            for start in range(0, len(places), self.cases_a_call):
                chosen = tuple(places[start : start + self.cases_a_call])
                calls.append(_Call(chosen, tuple(prompts[place] for place in chosen)))
        return calls

    def _run(self, asking: _Round, calls: Sequence[_Call]) -> None:
        """Ask everything, in a loop and thread of its own: the caller may live in a loop already, as Dagster's does."""
        try:
            asyncio.run(self._ask_all(asking, calls))
            if asking.failed is not None:
                asking.out.put(asking.failed)
        except asyncio.CancelledError:
            pass  # nobody listens any more
        except Exception as error:  # noqa: BLE001  a defect of ours ends in the caller's thread, not in this one
            asking.out.put(error)
        finally:
            asking.out.put(None)

    async def _ask_all(self, asking: _Round, calls: Sequence[_Call]) -> None:
        asking.loop, asking.task = asyncio.get_running_loop(), asyncio.current_task()
        pace = Pace(self._calls_at_once, MOST_CALLS)

        async def one(call: _Call) -> None:
            try:
                completions = await self._ask(client, pace, asking, call)
            except SgfError as error:
                asking.failed = asking.failed or error
                return
            for place, completion in zip(call.places, completions, strict=False):
                asking.out.put((place, completion))

        async with self._client() as client:
            await asyncio.gather(*(one(call) for call in calls))
        self._calls_at_once = pace.limit

    async def _ask(self, client: "openai.AsyncOpenAI", pace: Pace, asking: _Round, call: _Call) -> Sequence[Completion]:
        """The call's completions; none when another call has failed before this one was sent."""
        pauses = rng(call.seed, "pauses")
        is_repeat = False
        tries = 0
        while True:
            async with pace.turn() as began:
                if asking.failed is not None:
                    return ()
                try:
                    reply = await self._send(client, call)
                    pace.faster()
                    return self._completions(call, reply, self._most_cost(call) if is_repeat else 0.0)
                except _ReplyLostError as error:
                    if is_repeat:
                        raise ModelError(
                            f"model {self.name} at {self._host} lost two replies to one question ({error}): nothing"
                            " more is asked, because each may have been paid for; raise OPENAI_TIMEOUT_SECONDS where"
                            " the server is slow, and run again (what arrived is kept)"
                        ) from None
                    is_repeat, pause = True, self._patience.first_pause
                except _NotTakenError as error:
                    tries += 1
                    pause = min(self._patience.longest_pause, self._patience.first_pause * 2 ** (tries - 1))
                    pause *= float(pauses.uniform(0.75, 1.25))
                    if tries >= self._patience.tries or (error.wait or 0) > self._patience.longest_wait:
                        asks = f"; it asks for {error.wait:.0f} s" if error.wait else ""
                        raise ModelUnavailableError(
                            f"model {self.name} at {self._host} takes no questions ({error}, asked {tries} times"
                            f"{asks}): try again later (what arrived is kept)"
                        ) from None
                    if error.wait is not None:
                        pause = error.wait
                    if error.slow_down:
                        pace.slower(began, error.wait or 0.0)
            await asyncio.sleep(pause)

    async def _send(self, client: "openai.AsyncOpenAI", call: _Call) -> _Reply:
        """One request. Raises one of the two errors above or one of ours; none of them says what was asked."""
        import httpx2
        import openai

        try:
            async with asyncio.timeout(self._patience.reply + self._patience.connect):
                asked = client.completions if self.is_trained else client.chat.completions
                raw = await asked.with_raw_response.create(**self._request(call))
                content = raw.http_response.content
        except openai.APIStatusError as error:
            raise self._refused(error, call) from None
        except openai.APIConnectionError as error:
            unsent = (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout)
            if isinstance(error.__cause__, unsent):
                raise _NotTakenError("no connection") from None
            raise _ReplyLostError(
                "no reply in time" if isinstance(error, openai.APITimeoutError) else "line cut"
            ) from None
        except TimeoutError:
            raise _ReplyLostError("no reply in time") from None
        except openai.OpenAIError as error:
            raise ModelError(f"model {self.name} at {self._host} cannot be asked ({type(error).__name__})") from None
        reply = _reply(content)
        if reply is None:
            raise _ReplyLostError("the reply is no completion; is OPENAI_BASE_URL right?")
        return reply

    def _request(self, call: _Call) -> dict[str, Any]:
        _, most = self._most_tokens(call)
        if self.is_trained:
            return {
                "model": self.model(call.scenario),
                "prompt": prompt_text(call.prompts[0].brief),
                "temperature": TEMPERATURE,
                "seed": call.seed,
                "max_tokens": most,
            }
        # OpenAI has given max_tokens up for max_completion_tokens, which other servers do not all know.
        limit = "max_completion_tokens" if self._base_url == BASE_URL else "max_tokens"
        return {
            "model": self.model(call.scenario),
            "messages": [
                {"role": "system", "content": instructions(call.scenario)},
                {"role": "user", "content": _question(call)},
            ],
            "response_format": {
                "type": "json_schema",
                "json_schema": {"name": "fraud_cases", "strict": True, "schema": self._schema(call)},
            },
            "seed": call.seed,
            limit: most,
        }

    def _schema(self, call: _Call) -> dict[str, Any]:
        return answer_schema(call.scenario, len(call.prompts), is_fine_tuned=self.name.startswith("ft:"))

    def _most_tokens(self, call: _Call) -> tuple[int, int]:
        """Input and output tokens of a call, at most."""
        texts: tuple[str, ...] = (prompt_text(call.prompts[0].brief),)
        if not self.is_trained:
            texts = (instructions(call.scenario), _question(call), json.dumps(self._schema(call)))
        price = self.price(call.scenario)
        thinking = 0 if price is None else price.reasoning_tokens
        read = sum(len(text.encode()) for text in texts) // BYTES_A_TOKEN
        return read, MOST_TOKENS_A_CASE * len(call.prompts) + thinking

    def _most_cost(self, call: _Call) -> float:
        price = self.price(call.scenario)
        return 0.0 if price is None else price.cost(*self._most_tokens(call))

    def _completions(self, call: _Call, reply: _Reply, lost_usd: float) -> list[Completion]:
        """One completion a case, each with its share of tokens and cost; what a lost reply may have cost is added."""
        n = len(call.prompts)
        price = self.price(call.scenario)
        cost = lost_usd
        if price is not None:
            cost += price.cost(reply.input_tokens, reply.output_tokens, reply.cached_tokens)
        texts, faults = _texts(call, reply)
        return [
            Completion(
                texts[number],
                _share(reply.input_tokens, number, n),
                _share(reply.output_tokens, number, n),
                cost / n,
                faults[number],
            )
            for number in range(n)
        ]

    def _refused(self, error: "openai.APIStatusError", call: _Call) -> Exception:
        """What a status means. The server's own sentence is not repeated: it may quote the key or the question."""
        status, said = error.status_code, _said(error)
        words = f"{status}{f', {said}' if said else ''}"
        who = f"model {self.model(call.scenario)} at {self._host}"
        if status == 401:
            return ModelError(f"{who} does not accept the key ({words}): set OPENAI_API_KEY to a valid one")
        if status == 403:
            return ModelError(f"{who} is not open to this key ({words}): use another model or another project's key")
        if status == 404:
            return ModelError(f"{who} does not exist ({words}): correct --model, OPENAI_MODEL or OPENAI_BASE_URL")
        if status == 429 and "insufficient_quota" in (error.code, error.type):
            return ModelError(f"{who} has no credit left for this key ({words}): add some, then run again")
        if status in (504, 524):  # a proxy gave up, while the server behind it went on
            return _ReplyLostError(f"HTTP {words}")
        if status in (408, 409, 429) or status >= 500:
            return _NotTakenError(f"HTTP {words}", _retry_after(error.response.headers), slow_down=status in (429, 503))
        return ModelError(
            f"{who} refuses the question ({words}): use a model that takes"
            f"{'' if self.is_trained else ' strict JSON-schema outputs and'} {self._most_tokens(call)[1]} output tokens"
        )

    @property
    def _host(self) -> str:
        return urlsplit(self._base_url).netloc

    def _client(self) -> "openai.AsyncOpenAI":
        import httpx2
        import openai

        for name in _TALKATIVE:
            logger = logging.getLogger(name)
            logger.setLevel(max(logger.level, logging.WARNING))
        return openai.AsyncOpenAI(
            api_key=self._api_key,
            base_url=self._base_url,
            max_retries=0,
            timeout=httpx2.Timeout(self._patience.reply, connect=self._patience.connect),
        )


def answer_schema(name: ScenarioName, cases: int, is_fine_tuned: bool = False) -> dict[str, Any]:
    """The JSON Schema of an answer with so many cases of the scenario, in what strict mode knows of JSON Schema.

    Lengths of texts and all that ties one field to another are left to the writer, which checks every case.
    """
    schema = json.loads(_case_schema(name, is_fine_tuned))
    definitions = schema.pop("$defs")
    cases_schema: dict[str, Any] = {"type": "array", "items": schema}
    if not is_fine_tuned:
        cases_schema |= {"minItems": cases, "maxItems": cases}
    return {
        "type": "object",
        "properties": {"cases": cases_schema},
        "required": ["cases"],
        "additionalProperties": False,
        "$defs": definitions,
    }


@cache
def _case_schema(name: ScenarioName, is_fine_tuned: bool) -> str:
    table = scenario_of(name)
    dropped = _NEVER_SENT + (_NOT_FOR_FINE_TUNED if is_fine_tuned else ())
    schema = _without(FraudCase.model_json_schema(), dropped)
    schema["properties"]["scenario"] = {"type": "string", "enum": [name]}
    schema["properties"]["vector"] = {"type": "string", "enum": list(table.vectors)}
    schema["$defs"]["CaseStep"]["properties"]["kind"] = {"type": "string", "enum": list(table.step_kinds)}
    return json.dumps(schema)


def _without(node: Any, keywords: Sequence[str]) -> Any:
    """The schema without these keywords. Names of properties are no keywords, and none is named like one."""
    if isinstance(node, dict):
        return {key: _without(value, keywords) for key, value in node.items() if key not in keywords}
    return [_without(one, keywords) for one in node] if isinstance(node, list) else node


def _question(call: _Call) -> str:
    # A cell that comes again must be asked in other words: servers that draw nothing would else repeat themselves.
    return question([one.brief for one in call.prompts], [one.repeat * 10 + one.attempt - 1 for one in call.prompts])


def _reply(content: bytes) -> _Reply | None:
    """What a body says; None where it is no completion."""
    try:
        body = json.loads(content)
        choice, usage = body["choices"][0], body.get("usage") or {}
        message = {"content": choice["text"]} if "text" in choice else choice["message"]
        text, refusal = message.get("content") or "", message.get("refusal")
        finish = choice.get("finish_reason")
        tokens = [usage.get(name) or 0 for name in ("prompt_tokens", "completion_tokens")]
        cached = (usage.get("prompt_tokens_details") or {}).get("cached_tokens") or 0
        if not isinstance(text, str) or not all(isinstance(one, int) and one >= 0 for one in (*tokens, cached)):
            return None
    except (ValueError, TypeError, KeyError, IndexError, AttributeError, RecursionError):
        return None
    fault: Fault | None = None
    if refusal or finish == "content_filter":
        fault, text = "refusal", ""
    elif finish == "length":
        fault = "truncated"
    return _Reply(text, fault, tokens[0], min(cached, tokens[0]), tokens[1])


def _texts(call: _Call, reply: _Reply) -> tuple[list[str], list[Fault | None]]:
    """Text and fault of each case of a reply.

    As many cases as were asked for belong to the cells in their order. Of any other number nobody can say which cell
    was passed over: then each case goes to the first open cell whose words it has, and a cell without a case has no
    answer. Whole cases before the point where a reply was cut are whole cases.
    """
    n = len(call.prompts)
    if reply.fault == "refusal":
        return [""] * n, ["refusal"] * n
    found = _cases(reply.text)
    if found is None:
        return [reply.text] * n, [reply.fault] * n
    texts: list[str | None] = [None] * n
    if len(found) == n:
        texts = [json.dumps(one, ensure_ascii=False) for one in found]
    else:
        for one in found:
            place = next((p for p in range(n) if texts[p] is None and _is_in_cell(one, call.prompts[p])), None)
            if place is not None:
                texts[place] = json.dumps(one, ensure_ascii=False)
    return [text or "" for text in texts], [reply.fault if text is None else None for text in texts]


def _cases(text: str) -> list[Any] | None:
    """The elements of ``{"cases": [...]}``, the whole ones where the text is cut; None for anything else."""
    try:
        body = json.loads(text)
        cases = body.get("cases") if isinstance(body, dict) else None
        return cases if isinstance(cases, list) else None
    except (ValueError, RecursionError):
        pass
    head = re.match(r'\s*\{\s*"cases"\s*:\s*\[', text)
    if head is None:
        return None
    found: list[Any] = []
    place, decoder = head.end(), json.JSONDecoder()
    while True:
        place += len(text[place:]) - len(text[place:].lstrip(" \t\r\n,"))
        try:
            one, place = decoder.raw_decode(text, place)
        except (ValueError, RecursionError):
            return found
        found.append(one)


def _is_in_cell(case: Any, prompt: Prompt) -> bool:
    cell = prompt.brief.model_dump(exclude={"channel"})
    return isinstance(case, dict) and all(case.get(name) == value for name, value in cell.items())


def _share(total: int, number: int, n: int) -> int:
    """The part of ``total`` that falls on place ``number`` of ``n``; all parts together are the total."""
    return total // n + (number < total % n)


def _said(error: "openai.APIStatusError") -> str:
    """The server's code and parameter, where they are plain words: nothing else of its text is shown."""
    words = (error.code or error.type, error.param)
    return " ".join(word for word in words if isinstance(word, str) and re.fullmatch(r"[a-z_.]{3,40}", word))


def _retry_after(headers: Any) -> float | None:
    """Seconds that the server asks to wait, by ``Retry-After`` (seconds or a date) or ``retry-after-ms``."""
    try:
        if "retry-after-ms" in headers:
            return max(0.0, float(headers["retry-after-ms"]) / 1000)
        text = headers.get("retry-after")
        if text is None:
            return None
        if re.fullmatch(r"[0-9]+(\.[0-9]+)?", text.strip()):
            return float(text)
        return max(0.0, parsedate_to_datetime(text).timestamp() - time.time())
    except ValueError:
        return None
