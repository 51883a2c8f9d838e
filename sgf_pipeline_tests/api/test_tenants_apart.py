"""The guard before the whole API: which scope opens which address, and that tenants never see one another.

Neither Dagster nor a model answers here: what is decided before they are asked must not depend on them.
"""

from collections.abc import Callable, Iterator

import httpx
import pytest
from fastapi import FastAPI

from sgf_pipeline.api.app import create_app
from sgf_pipeline.api.security import OPEN_PATHS, protect
from sgf_pipeline.settings import Settings
from sgf_pipeline_tests.api.issuer import AUDIENCE, Issuer
from sgf_pipeline_tests.api.running import running
from sgf_pipeline_tests.integration.services import free_port
from sgf_pipeline_tests.llm.scripted import ScriptedBackend, good_answer

NEEDED = {
    ("POST", "/v1/generator/preview"): "sgf:preview",
    ("POST", "/v1/generator/generate"): "sgf:generate",
    ("GET", "/v1/generator/batches"): "sgf:read",
    ("GET", "/v1/generator/batches/{batch_id}"): "sgf:read",
    ("DELETE", "/v1/generator/batches/{batch_id}"): "sgf:generate",
}


@pytest.fixture(scope="module")
def issuer() -> Iterator[Issuer]:
    server = Issuer()
    yield server
    server.stop()


@pytest.fixture(scope="module")
def settings(issuer: Issuer, make_settings: Callable[..., Settings]) -> Settings:
    nobody = f"http://127.0.0.1:{free_port()}"
    return make_settings(
        sgf_oidc_issuer=issuer.url, sgf_oidc_audience=AUDIENCE, sgf_id_salt="own", sgf_dagster_url=nobody
    )


@pytest.fixture(scope="module")
def app(settings: Settings) -> FastAPI:
    made = create_app(settings, ScriptedBackend(lambda prompt: good_answer(prompt.brief)))  # no model is loaded
    protect(made, settings)
    return made


@pytest.fixture(scope="module")
def api(app: FastAPI, settings: Settings) -> Iterator[httpx.Client]:
    with running(app, settings) as address, httpx.Client(base_url=address, timeout=30) as client:
        yield client


def ask(api: httpx.Client, token: str, method: str, path: str, **given: object) -> httpx.Response:
    headers = {"Authorization": f"Bearer {token}", "Prefer": "respond-async", "Idempotency-Key": "one"}
    return api.request(method, path, headers=headers, **given)


def test_every_address_has_its_scope(app, api, issuer):
    """Guards an address that was added without one, or with the wrong one; also against an answer before the token."""
    described = {(m.upper(), path) for path, methods in app.openapi()["paths"].items() for m in methods}
    assert {one for one in described if one[1] not in OPEN_PATHS} == set(NEEDED)
    for (method, path), scope in NEEDED.items():
        others = " ".join(sorted({"sgf:preview", "sgf:generate", "sgf:read"} - {scope}))
        body = {"content": b"no JSON"} if method == "POST" else {}
        address = path.format(batch_id="gen_1")
        assert api.request(method, address, **body).status_code == 401, path
        body = {"json": {"count": 10}} if method == "POST" else {}
        refused = ask(api, issuer.token(scope=others), method, address, **body)
        assert refused.status_code == 403, path
        assert f'scope="{scope}"' in refused.headers["www-authenticate"]


def test_tenants_never_see_one_another(api, issuer):
    """Guards the wall between tenants: batch ids, idempotency keys and bodies that name the other."""
    acme, globex = issuer.token("acme_robot"), issuer.token("globex_robot")
    body = {"count": 1000, "scenarios": ["card_testing"], "seed": 7}
    mine = ask(api, acme, "POST", "/v1/generator/generate", json=body)
    theirs = ask(api, globex, "POST", "/v1/generator/generate", json=body)
    assert (mine.status_code, theirs.status_code) == (202, 202)
    first, second = mine.json()["batch_id"], theirs.json()["batch_id"]
    assert first != second

    for method in ("GET", "DELETE"):
        foreign = ask(api, globex, method, f"/v1/generator/batches/{first}")
        unknown = ask(api, globex, method, "/v1/generator/batches/gen_never_made")
        assert (foreign.status_code, unknown.status_code) == (404, 404)
        assert foreign.text.replace(first, "gen_never_made") == unknown.text
    # The owner gets past that wall, to Dagster.
    assert ask(api, acme, "GET", f"/v1/generator/batches/{first}").status_code == 503

    for path in ("/v1/generator/generate", "/v1/generator/preview"):
        assert ask(api, globex, "POST", path, json={"count": 10, "tenant": "acme"}).status_code == 422
