"""The salt, and the identifiers made with it.

Belongs here: keeping the salt out of every log, tag and record; only its fingerprint is ever shown.
"""

import hashlib

import dagster as dg
from pydantic import PrivateAttr

from sgf_pipeline.domain.identifiers import Identifiers
from sgf_pipeline.domain.request import GenerationRequest
from sgf_pipeline.domain.scenario_names import ScenarioName
from sgf_pipeline.settings import read_settings


class IdentityResource(dg.ConfigurableResource):  # type: ignore[type-arg]
    """Makes identifiers under ``SGF_ID_SALT``, read when it is needed, because a resource's fields are shown."""

    _salt: str | None = PrivateAttr(default=None)

    def _read(self) -> str:
        if self._salt is None:
            self._salt = read_settings().sgf_id_salt.get_secret_value()
        return self._salt

    def fingerprint(self) -> str:
        """First 12 hex digits of the salt's SHA-256."""
        return hashlib.sha256(self._read().encode()).hexdigest()[:12]

    def identifiers(self, request: GenerationRequest, scenario: ScenarioName) -> Identifiers:
        """Identifiers of one shard."""
        content = request.content
        return Identifiers(
            self._read(),
            content_sha=content.content_sha,
            seed=content.seed,
            population_seed=content.population_seed,
            scenario=scenario,
        )
