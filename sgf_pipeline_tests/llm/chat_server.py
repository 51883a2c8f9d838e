"""A server that speaks OpenAI's chat API over a real socket and has bad days, as a test tells it.

Belongs here: HTTP, the bad days, and the account book: how often each question was answered, that is paid for. Its good
answers are cases of the training corpus, each in the cell that was asked for.
"""

import contextlib
import json
import re
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import jsonschema

from sgf_pipeline.domain.cases import CaseBrief
from sgf_pipeline.training.archetypes import BOOKS
from sgf_pipeline.training.corpus import widen

KEY = "sk-proj-Nobody-May-See-This-0123456789"
REFUSAL = "I'm sorry, but I can't help with planning that."
INPUT_TOKENS, OUTPUT_TOKENS = 2000, 900  # of every answer


@dataclass(frozen=True)
class Question:
    """One request as it came: its place among all, how often the very same one came before, and what it asks."""

    number: int
    before: int
    body: dict[str, Any]

    @property
    def text(self) -> str:
        return str(self.body["messages"][1]["content"])

    @property
    def briefs(self) -> list[CaseBrief]:
        return briefs_of(self.text)

    @property
    def cases(self) -> list[dict[str, Any]]:
        return [good_case(brief) for brief in self.briefs]


@dataclass(frozen=True)
class Say:
    """What the server does: by default it answers well.

    ``status`` other than 200 is an error with ``code``. ``content`` is the message's text. ``cut`` sends half of the
    body and hangs up; ``hang`` says nothing until the server is closed; ``raw`` is sent instead of a completion.
    """

    status: int = 200
    code: str | None = None
    headers: dict[str, str] = field(default_factory=dict)
    content: str | None = None
    refusal: str | None = None
    finish: str = "stop"
    raw: bytes | None = None
    cut: bool = False
    hang: bool = False


CELL = set(CaseBrief.model_fields)

Script = Callable[[Question], Say | None]


class ChatServer:
    """``url`` is what OPENAI_BASE_URL names. ``answered`` counts answers by question, whether they arrived or not."""

    def __init__(self, script: Script) -> None:
        self.script = script
        self.questions: list[Question] = []
        self.answered: Counter[str] = Counter()
        self.keys: set[str] = set()
        self.most_at_once = 0
        self.at_once = 0
        self._seen: Counter[str] = Counter()
        self._lock = threading.Lock()
        self.closing = threading.Event()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                outer.keys.add(self.headers.get("Authorization", ""))
                with outer._lock:
                    outer.at_once += 1
                    outer.most_at_once = max(outer.most_at_once, outer.at_once)
                try:
                    outer._serve(self, body)
                finally:
                    with outer._lock:
                        outer.at_once -= 1

            def log_message(self, *args: object) -> None:
                pass

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._http.daemon_threads = True
        threading.Thread(target=self._http.serve_forever, args=(0.05,), daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._http.server_port}/v1"

    def close(self) -> None:
        self.closing.set()
        self._http.shutdown()
        self._http.server_close()

    def _serve(self, handler: BaseHTTPRequestHandler, body: dict[str, Any]) -> None:
        assert handler.path == "/v1/chat/completions"
        name = json.dumps(body, sort_keys=True)
        with self._lock:
            question = Question(len(self.questions), self._seen[name], body)
            self.questions.append(question)
            self._seen[name] += 1
        say = self.script(question) or Say()
        if say.status == 200 and say.raw is None:
            with self._lock:
                self.answered[name] += 1
        content = _error(say) if say.status != 200 else say.raw if say.raw is not None else _completion(question, say)
        if say.hang:
            self.closing.wait(30)
            handler.close_connection = True
            return
        handler.send_response(say.status)
        for header, value in {"Content-Type": "application/json", **say.headers}.items():
            handler.send_header(header, value)
        handler.send_header("Content-Length", str(len(content)))
        handler.end_headers()
        with contextlib.suppress(OSError):
            handler.wfile.write(content[: len(content) // 2] if say.cut else content)
        if say.cut:
            handler.close_connection = True


def _error(say: Say) -> bytes:
    said = f"Incorrect API key provided: {KEY}. You asked: cells." if say.status == 401 else "said at length"
    return json.dumps({"error": {"message": said, "type": say.code, "param": None, "code": say.code}}).encode()


def _completion(question: Question, say: Say) -> bytes:
    content = say.content
    if content is None and say.refusal is None:
        answer = {"cases": question.cases}
        # a good answer is good by the schema that came with the question, too
        jsonschema.validate(answer, question.body["response_format"]["json_schema"]["schema"])
        content = json.dumps(answer)
    message = {"role": "assistant", "content": content, "refusal": say.refusal}
    return json.dumps(
        {
            "id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": question.body["model"],
            "choices": [{"index": 0, "message": message, "finish_reason": say.finish, "logprobs": None}],
            "usage": {"prompt_tokens": INPUT_TOKENS, "completion_tokens": OUTPUT_TOKENS,
                      "total_tokens": INPUT_TOKENS + OUTPUT_TOKENS},
        }
    ).encode()  # fmt: skip


def briefs_of(text: str) -> list[CaseBrief]:
    """The cells that a question names, as a model would read them."""
    head, *lines = text.splitlines()
    scenario = re.search(r"cases? of (\w+),", head)
    assert scenario is not None
    cells = [{word: value for word, value in re.findall(r"(\w+) (\w+)", line) if word in CELL} for line in lines]
    return [CaseBrief.model_validate({"scenario": scenario[1], **cell}) for cell in cells]


def good_case(brief: CaseBrief) -> dict[str, Any]:
    return widen(BOOKS[brief.scenario], brief, seed=0, number=0).model_dump(mode="json")


@contextlib.contextmanager
def serving(script: Script = lambda question: None) -> Iterator[ChatServer]:
    server = ChatServer(script)
    try:
        yield server
    finally:
        server.close()
