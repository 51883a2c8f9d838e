"""Public identifiers: HMAC-SHA256 of internal ids under the salt.

Belongs here: the shape of every identifier and what it depends on. Nothing can be traced back to a key of the
simulation without the salt, and nothing can collide with a person: no card number exists at all, and addresses
come from the documentation range 2001:db8::/32 (RFC 3849).
"""

import hmac
from collections.abc import Iterable, Sequence
from ipaddress import IPv6Address

from sgf_pipeline.domain.events import ACTOR_BASE

_DOCUMENTATION = 0x20010DB8 << 96


class Identifiers:
    """Identifiers of one shard.

    Customers, accounts, cards, devices and addresses of the population depend on (salt, population_seed,
    scenario, key); those of offenders also on the seed, because every batch has its own offenders. Merchants
    depend on (salt, population_seed, key) and are shared by all shards. Transaction ids depend on (salt,
    content_sha, scenario, index).
    """

    def __init__(self, salt: str, *, content_sha: str, seed: int, population_seed: int, scenario: str) -> None:
        self._salt = salt.encode()
        self._world = f"{population_seed}"
        self._population = f"{population_seed}|{scenario}"
        self._offenders = f"{population_seed}|{scenario}|{seed}"
        self._transactions = self._digest(f"transactions|{content_sha}|{scenario}")

    def transactions(self, indexes: Iterable[int]) -> list[str]:
        """``txn_`` and 24 hex digits for each index of the shard."""
        key, digest = self._transactions, hmac.digest
        return [f"txn_{digest(key, b'%d' % index, 'sha256').hex()[:24]}" for index in indexes]

    def merchants(self, keys: Sequence[int]) -> list[str]:
        return [self._name("mer", f"merchant|{self._world}|{key}") for key in keys]

    def entities(self, kind: str, prefix: str, keys: Sequence[int]) -> list[str]:
        """Identifiers of customers, accounts, cards or devices, ``prefix_`` and 16 hex digits each."""
        return [self._name(prefix, f"{kind}|{self._scope(key)}|{key}") for key in keys]

    def incidents(self, numbers: Sequence[int]) -> list[str]:
        return [self._name("inc", f"incident|{self._offenders}|{number}") for number in numbers]

    def addresses(self, keys: Sequence[int]) -> list[str]:
        """IPv6 addresses of the documentation range, each in a /64 of its own.

        Nothing but equality is told by two addresses: whose keys lie near each other must not show.
        """
        return [self._address(key) for key in keys]

    def _address(self, key: int) -> str:
        low_bits = int.from_bytes(self._digest(f"address|{self._scope(key)}|{key}")[:12], "big")
        return str(IPv6Address(_DOCUMENTATION | low_bits))

    def _scope(self, key: int) -> str:
        return self._offenders if key >= ACTOR_BASE else self._population

    def _name(self, prefix: str, internal: str) -> str:
        return f"{prefix}_{self._digest(internal).hex()[:16]}"

    def _digest(self, internal: str) -> bytes:
        return hmac.digest(self._salt, internal.encode(), "sha256")
