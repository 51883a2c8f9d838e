"""Supabase's REST door before a real PostgreSQL: the part of PostgREST's wire format that our client speaks.

Belongs here: keys that become roles, requests that become SQL under that role in one transaction each, and errors in
PostgREST's words; and a bad network before it. Does not belong here: the database (``services``), and any rule of ours:
rights, locks and row-level security are PostgreSQL's own. The same tests run against Supabase's own light server
(``services.SupabaseLite``), which holds this one to what it imitates.
"""

import http.client
import json
import socket
import threading
from collections import Counter
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar
from urllib.parse import parse_qsl, urlsplit

import psycopg2
from psycopg2 import sql

# What a key is: the role that its requests run under.
KEYS = {"sb_secret_of_the_service_000000000000": "service_role", "sb_publishable_of_anybody_0000000000": "anon"}
SERVICE_KEY, ANONYMOUS_KEY = KEYS
MAX_ROWS = 2  # of an answer; Supabase's is 1000
TIMEOUT = "8s"  # Supabase's for API roles

_STATUS = {"42501": 403, "23505": 409, "57014": 500, "PGRST205": 404, "PGRST202": 404}
_PGRST = {"42P01": "PGRST205", "42883": "PGRST202"}
_OPERATORS = {"is": "IS", "eq": "=", "gt": ">"}


class Handler(BaseHTTPRequestHandler):
    """One connection of a client."""

    protocol_version = "HTTP/1.1"

    def setup(self) -> None:
        super().setup()
        self.connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing: the tests' output is for their results."""

    def answer(self, status: int, body: bytes, content_type: str = "application/json") -> None:
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def body(self) -> bytes:
        return self.rfile.read(int(self.headers.get("Content-Length", 0)))


class Bridge:
    """The REST door of one database."""

    def __init__(self, database_url: str) -> None:
        class Door(Handler):
            def do_GET(self) -> None:
                self._run(self._select)

            def do_POST(self) -> None:
                self._run(self._call if "/rpc/" in self.path else self._insert)

            def _run(self, work: Any) -> None:
                sent = self.body()
                role = KEYS.get(self.headers.get("apikey", ""))
                if role is None or self.headers.get("Authorization") != f"Bearer {self.headers['apikey']}":
                    self.answer(401, b'{"message":"Invalid API key","hint":"Double check your API key."}')
                    return
                connection = psycopg2.connect(database_url)
                try:
                    with connection, connection.cursor() as cursor:
                        cursor.execute(f"SET LOCAL statement_timeout = '{TIMEOUT}'")
                        cursor.execute(sql.SQL("SET LOCAL ROLE {}").format(sql.Identifier(role)))
                        status, body = work(cursor, sent)
                except psycopg2.Error as error:
                    code = _PGRST.get(str(error.pgcode), str(error.pgcode))
                    said = {"code": code, "message": error.diag.message_primary, "details": None, "hint": None}
                    status, body = _STATUS.get(code, 400), json.dumps(said).encode()
                finally:
                    connection.close()
                self.answer(status, body)

            def _target(self) -> tuple[sql.Composable, dict[str, str]]:
                parts = urlsplit(self.path)
                name = sql.Identifier("public", parts.path.rpartition("/")[2])
                return name, dict(parse_qsl(parts.query))

            def _select(self, cursor: Any, _: bytes) -> tuple[int, bytes]:
                table, asked = self._target()
                columns = sql.SQL(", ").join(map(sql.Identifier, asked.pop("select").split(",")))
                order, _, direction = asked.pop("order", "").partition(".")
                limit = min(int(asked.pop("limit", MAX_ROWS)), MAX_ROWS)
                query = sql.SQL("SELECT {} FROM {}").format(columns, table)
                for number, (column, wanted) in enumerate(asked.items()):
                    operator, _, value = wanted.partition(".")
                    query += sql.SQL(" WHERE " if number == 0 else " AND ") + sql.SQL("{} {} {}").format(
                        sql.Identifier(column),
                        sql.SQL(_OPERATORS[operator]),
                        sql.NULL if (operator, value) == ("is", "null") else sql.Literal(value),
                    )
                if order:
                    way = sql.SQL("DESC" if direction == "desc" else "ASC")
                    query += sql.SQL(" ORDER BY {} {}").format(sql.Identifier(order), way)
                query += sql.SQL(" LIMIT {}").format(sql.Literal(limit))
                cursor.execute(sql.SQL("SELECT COALESCE(json_agg(one), '[]')::text FROM ({}) AS one").format(query))
                return 200, cursor.fetchone()[0].encode()

            def _insert(self, cursor: Any, sent: bytes) -> tuple[int, bytes]:
                table, asked = self._target()
                columns = sql.SQL(", ").join(map(sql.Identifier, json.loads(sent)))
                query = sql.SQL("INSERT INTO {0} ({1}) SELECT {1} FROM json_populate_record(NULL::{0}, {2})").format(
                    table, columns, sql.Literal(sent.decode())
                )
                if "resolution=ignore-duplicates" in self.headers.get("Prefer", ""):
                    key = sql.SQL(", ").join(map(sql.Identifier, asked["on_conflict"].split(",")))
                    query += sql.SQL(" ON CONFLICT ({}) DO NOTHING").format(key)
                cursor.execute(query)
                return 201, b""

            def _call(self, cursor: Any, sent: bytes) -> tuple[int, bytes]:
                function, _ = self._target()
                # PostgREST lets a function's own time-out hold for the whole request.
                cursor.execute(
                    "SELECT substr(setting, 19) FROM pg_proc, unnest(proconfig) AS setting"
                    " WHERE proname = %s AND setting LIKE 'statement_timeout=%%'",
                    (urlsplit(self.path).path.rpartition("/")[2],),
                )
                for (own,) in cursor.fetchall():
                    cursor.execute("SELECT set_config('statement_timeout', %s, true)", (own,))
                arguments = sql.SQL(", ").join(
                    sql.SQL("{} => {}").format(sql.Identifier(name), sql.Literal(value))
                    for name, value in json.loads(sent).items()
                )
                cursor.execute(sql.SQL("SELECT COALESCE(to_json({}({}))::text, 'null')").format(function, arguments))
                return 200, cursor.fetchone()[0].encode()

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Door)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True, kwargs={"poll_interval": 0.05}).start()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()


class BadNetwork:
    """A gateway before a REST door that does one bad thing to the first requests of a kind, and lets later ones pass.

    ``bad``: what is asked for (the last part of the path) → what happens, request by request: "lost" (the server does
    it, and the answer is lost with its connection), a status such as "503" (the gateway says so, and the server never
    hears of it), or "html" (a page instead of JSON).
    """

    GATEWAYS_WORDS: ClassVar[dict[str, bytes]] = {"429": b'{"message":"slow down"}', "503": b"<html>busy</html>"}

    def __init__(self, url: str, bad: Mapping[str, list[str]]) -> None:
        plans = {kind: list(plan) for kind, plan in bad.items()}
        self.asked: Counter[str] = Counter()
        asked = self.asked
        upstream = urlsplit(url).netloc
        words = self.GATEWAYS_WORDS

        class Gateway(Handler):
            def do_GET(self) -> None:
                sent = self.body()
                kind = urlsplit(self.path).path.rpartition("/")[2]
                asked[kind] += 1
                bad_thing = plans[kind].pop(0) if plans.get(kind) else ""
                if bad_thing.isdigit():
                    self.answer(int(bad_thing), words[bad_thing])
                elif bad_thing == "html":
                    self.answer(200, b"<html>hello</html>", "text/html")
                else:
                    server = http.client.HTTPConnection(upstream)
                    server.request(self.command, self.path, sent, dict(self.headers))
                    found = server.getresponse()
                    content = found.read()
                    server.close()
                    if bad_thing == "lost":
                        self.close_connection = True
                    else:
                        self.answer(found.status, content)

            do_POST = do_GET  # noqa: N815

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Gateway)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True, kwargs={"poll_interval": 0.05}).start()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()
