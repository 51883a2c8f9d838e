"""A gate before a real broker: what the brokers that install by pip cannot do, and a network that loses replies.

Belongs here: TLS, passwords, rights and losses on the wire. Does not belong here: the brokers (``services``).
"""

import contextlib
import itertools
import socket
import ssl
import struct
import threading
from collections import Counter
from collections.abc import Mapping
from typing import Any, Protocol

# Kinds of requests (Kafka's API keys)
PRODUCE, METADATA, FIND_COORDINATOR, ADD_PARTITIONS, ADD_OFFSETS = 0, 3, 10, 24, 25
END_TRANSACTION, COMMIT_OFFSETS, SASL_AUTHENTICATE = 26, 28, 36
LINGER_SECONDS = 1.0  # how long a refused client is given to hang up by itself
# Error codes
TOPIC_AUTHORIZATION_FAILED, SASL_AUTHENTICATION_FAILED = 29, 58
_CHANGED = (METADATA, FIND_COORDINATOR, ADD_PARTITIONS, SASL_AUTHENTICATE)


class Broker(Protocol):
    """A broker on 127.0.0.1."""

    port: int


class Front:
    """A gate before a broker, for what the brokers here cannot do: TLS, passwords, rights, and a bad network.

    Every frame passes as it is, but: replies that name the broker's address name the gate's; with ``password`` a
    SASL/PLAIN log-in with another one is refused; writing to the topic ``forbidden`` is refused; and of replies whose
    kind is a key of ``lose``, every n-th is lost with its connection, after the broker has done what it was asked.
    """

    def __init__(
        self,
        broker: Broker,
        *,
        tls: ssl.SSLContext | None = None,
        password: str = "",
        forbidden: str = "",
        lose: Mapping[int, int] | None = None,
    ) -> None:
        self._broker = broker
        self._tls = tls
        self._password = password.encode()
        self._forbidden = forbidden
        self._lose = dict(lose or {})
        self._asked: Counter[int] = Counter()
        self.lost: Counter[int] = Counter()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:  # closed
                return
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, raw: socket.socket) -> None:
        with raw, contextlib.suppress(OSError, EOFError):
            client = self._encrypted(raw, self._tls) if self._tls else raw
            with client, socket.create_connection(("127.0.0.1", self._broker.port)) as broker:
                while self._exchange(client, broker):
                    pass

    def _encrypted(self, raw: socket.socket, tls: ssl.SSLContext) -> ssl.SSLSocket:
        client = tls.wrap_socket(raw, server_side=True, do_handshake_on_connect=False)
        try:
            client.do_handshake()
        except ssl.SSLError:
            # Closed with the client's first request unread, the connection would be reset and the alert lost.
            with socket.socket(fileno=client.detach()) as plain:
                plain.settimeout(LINGER_SECONDS)
                while plain.recv(4096):
                    pass
            raise
        return client

    def _exchange(self, client: socket.socket, broker: socket.socket) -> bool:
        """One request and its reply; False when the connection is to end."""
        request = _frame(client)
        kind, version = struct.unpack_from(">hh", request)
        broker.sendall(struct.pack(">i", len(request)) + request)
        reply = _frame(broker)
        self._asked[kind] += 1
        if kind in self._lose and self._asked[kind] % self._lose[kind] == 0:
            self.lost[kind] += 1
            return False
        refused = kind == SASL_AUTHENTICATE and b"\0" + self._password not in request
        if kind in _CHANGED and (kind != SASL_AUTHENTICATE or refused):
            reply = self._changed(_reply(kind)[version].decode(reply, header=True))
        client.sendall(struct.pack(">i", len(reply)) + reply)
        if refused:
            # A client that finds reply and end of the connection together may not read the reply any more.
            client.settimeout(LINGER_SECONDS)
            client.recv(1)
        return not refused

    def _changed(self, reply: Any) -> bytes:
        if reply.API_KEY == SASL_AUTHENTICATE:
            reply.error_code = SASL_AUTHENTICATION_FAILED
            reply.error_message = "Authentication failed: invalid credentials"
        elif reply.API_KEY == ADD_PARTITIONS:
            for topic in reply.results_by_topic_v3_and_below:
                for partition in topic.results_by_partition if topic.name == self._forbidden else ():
                    partition.partition_error_code = TOPIC_AUTHORIZATION_FAILED
        else:
            named = [getattr(reply, name, None) or () for name in ("brokers", "coordinators")]
            for place in (reply, *itertools.chain(*named)):
                if getattr(place, "port", None) == self._broker.port:
                    place.port = self.port
        encoded: bytes = reply.encode(header=True)
        return encoded


def _reply(kind: int) -> Any:
    from kafka.protocol.metadata import FindCoordinatorResponse, MetadataResponse
    from kafka.protocol.producer import AddPartitionsToTxnResponse
    from kafka.protocol.sasl import SaslAuthenticateResponse

    replies = (MetadataResponse, FindCoordinatorResponse, AddPartitionsToTxnResponse, SaslAuthenticateResponse)
    return dict(zip(_CHANGED, replies, strict=True))[kind]


def _frame(source: socket.socket) -> bytes:
    (size,) = struct.unpack(">i", _exactly(source, 4))
    return _exactly(source, size)


def _exactly(source: socket.socket, count: int) -> bytes:
    received = bytearray()
    while len(received) < count:
        piece = source.recv(count - len(received))
        if not piece:
            raise EOFError
        received += piece
    return bytes(received)
