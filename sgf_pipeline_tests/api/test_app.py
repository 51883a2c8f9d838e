"""The REST API over HTTP, without a Dagster that answers: previews, refusals, health."""

import hashlib
import json
from collections.abc import Iterator
from urllib.parse import quote

import httpx
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as examples
from hypothesis import strategies as st

from sgf_pipeline.api.app import create_app
from sgf_pipeline.api.security import protect
from sgf_pipeline.llm.mini_backend import MiniBackend
from sgf_pipeline.resources.lake import LakeResource
from sgf_pipeline_tests.api.issuer import AUDIENCE, Issuer
from sgf_pipeline_tests.api.running import running
from sgf_pipeline_tests.integration.services import free_port

PREVIEW, GENERATE = "/v1/generator/preview", "/v1/generator/generate"
SMALL = {"count": 10, "scenarios": ["phishing"], "seed": 3}


@pytest.fixture(scope="module")
def issuer() -> Iterator[Issuer]:
    server = Issuer()
    yield server
    server.stop()


@pytest.fixture(scope="module")
def settings(make_settings):
    return make_settings(sgf_dagster_url=f"http://127.0.0.1:{free_port()}", sgf_api_rate=0)


@pytest.fixture(scope="module")
def api(settings) -> Iterator[httpx.Client]:
    app = create_app(settings, MiniBackend(), wait_seconds=0.2)
    protect(app, settings)
    with running(app, settings) as address, httpx.Client(base_url=address, timeout=120) as client:
        yield client


@pytest.fixture(scope="module")
def lake(settings) -> LakeResource:
    return LakeResource(url=settings.storage_url)


def sent(api: httpx.Client, path: str, body: bytes) -> httpx.Response:
    return api.post(path, content=body, headers={"Content-Type": "application/json"})


def check_problem(answer: httpx.Response, status: int) -> None:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    said = answer.json()
    assert said["status"] == status
    assert {"type", "title", "detail"} <= set(said)
    assert "\n" not in said["detail"]
    assert len(answer.content) < 4_000


def test_a_preview_is_rows_with_what_they_were_made_of(api):
    """Guards the shape that clients read, and that what is hashed is what is sent."""
    said = api.post(PREVIEW, json={**SMALL, "fraud_ratio": 0.2}).raise_for_status().json()
    assert (said["seed"], said["generated"], said["fraudulent"], said["legit"]) == (3, 10, 2, 8)
    assert sum(row["is_fraud"] for row in said["transactions"]) == 2
    plain = json.dumps(said["transactions"], sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    assert hashlib.sha256(plain.encode()).hexdigest() == said["sha256"]
    assert said["latency_ms"] >= 0
    again = api.post(PREVIEW, json=said["request"]).raise_for_status().json()
    assert (again["sha256"], again["transactions"]) == (said["sha256"], said["transactions"])


def test_a_preview_without_a_seed_names_the_one_it_drew(api):
    """Guards against rows that nobody can have again."""
    body = {"count": 5, "scenarios": ["phishing"], "fraud_ratio": 0}
    one, two = (api.post(PREVIEW, json=body).json() for _ in range(2))
    assert one["seed"] != two["seed"]
    assert api.post(PREVIEW, json={**body, "seed": one["seed"]}).json()["sha256"] == one["sha256"]


def test_a_preview_writes_nothing(api, lake):
    """Guards the storage from a call that is only meant to show something."""
    before = sorted(str(path) for path in lake.root.rglob("*"))
    api.post(PREVIEW, json=SMALL).raise_for_status()
    assert sorted(str(path) for path in lake.root.rglob("*")) == before


BAD = {
    b"": 422, b"{": 400, b"null": 422, b"[]": 422, b"\xff\xfe": 400, b'"x"': 422, b"7": 422,
    b"[" * 100_000: 400, b'{"a":' * 5_000 + b"1" + b"}" * 5_000: 400, b'{"seed":' + b"9" * 5_000 + b"}": 400,
    b'{"count":0}': 422, b'{"count":1000000001}': 422, b'{"count":true}': 422, b'{"count":"3"}': 422,
    b'{"count":1.5}': 422, b'{"count":NaN}': 422, b'{"fraud_ratio":NaN}': 422, b'{"fraud_ratio":1e999}': 422,
    b'{"fraud_ratio":-0.1}': 422, b'{"seed":-1}': 422, b'{"seed":9223372036854775808}': 422, b'{"nonsense":1}': 422,
    b'{"' + b"x" * 3_000 + b'":1}': 422, b'{"scenarios":[]}': 422, b'{"scenarios":["arson"]}': 422,
    b'{"scenarios":"phishing"}': 422, b'{"weights":{"phishing":0}}': 422, b'{"weights":{"phishing":NaN}}': 422,
    b'{"weights":{"phishing":1},"scenarios":["card_testing"]}': 422,
    b'{"currency":"XXX"}': 422, b'{"currency":"eur"}': 422, b'{"countries":["ZZ"]}': 422, b'{"countries":["AQ"]}': 422,
    b'{"countries":[1]}': 422, b'{"start_date":"soon"}': 422, b'{"start_date":7}': 422,
    b'{"start_date":"9999-12-31"}': 422, b'{"end_date":"0001-01-01"}': 422, b'{"start_date":"\\ud800"}': 422,
    b'{"start_date":"2025-02-01","end_date":"2025-01-01"}': 422, b'{"language":"de"}': 422,
    b'{"tenant":"../x"}': 422, b'{"tenant":"Acme"}': 422, b'{"population_size":5000001}': 422,
}  # fmt: skip


@pytest.mark.parametrize("path", [PREVIEW, GENERATE])
@pytest.mark.parametrize("body", BAD, ids=lambda body: body[:40].decode(errors="replace"))
def test_a_body_that_is_not_allowed_is_refused_in_plain_words(api, lake, path, body):
    """Guards against a 500 for what a client sends, and against a batch on record that nobody could build."""
    check_problem(sent(api, path, body), BAD[body])
    assert lake.names(lake.path("requests")) == []


def test_a_refusal_names_field_value_and_what_is_allowed(api):
    """Guards a client from having to guess."""
    said = api.post(PREVIEW, json={"count": 101}).json()
    assert (said["field"], said["value"]) == ("count", "101")
    assert "100" in said["allowed"]
    assert "count 101" in said["detail"]
    assert "EUR" in api.post(PREVIEW, json={"currency": "XXX"}).json()["detail"]


def test_a_body_of_ten_megabytes_is_refused_unread(api):
    """Guards memory and time."""
    check_problem(sent(api, GENERATE, b'{"model":"' + b"x" * 10_000_000 + b'"}'), 413)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)
FIELDS = ["count", "fraud_ratio", "scenarios", "weights", "currency", "countries", "start_date", "end_date", "seed",
          "population_seed", "population_size", "difficulty", "hard_negative_share", "language", "tenant"]  # fmt: skip


@given(body=st.dictionaries(st.sampled_from(FIELDS), JSON, min_size=1, max_size=3))
@examples(
    max_examples=150, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_no_value_of_a_field_breaks_a_preview(api, body):
    """Guards against a 500 for any value of a known field; what is accepted is made, without asking the model."""
    answer = sent(api, PREVIEW, json.dumps({"fraud_ratio": 0, **body}).encode())
    if answer.status_code != 200:
        check_problem(answer, 422)


MALFORMED = ["..", "../../etc/passwd", "%2e%2e%2fetc", "A", "__", "x" * 64, "gen 1", "gén_1", "\x00"]


@pytest.mark.parametrize("name", MALFORMED)
def test_a_malformed_batch_id_never_reaches_the_storage(api, name):
    """Guards against a path that leaves the storage; a name that is none is told from one that is unknown."""
    for method in ("GET", "DELETE"):
        answer = api.request(method, f"/v1/generator/batches/{quote(name, safe='')}")
        assert answer.status_code in (404, 422)
        check_problem(answer, answer.status_code)


def test_an_unknown_batch_is_404(api):
    """Guards a client that mistyped from an answer about nothing."""
    for method in ("GET", "DELETE"):
        check_problem(api.request(method, "/v1/generator/batches/gen_nothing"), 404)


def test_other_paths_and_methods_are_problems_too(api):
    """Guards clients that read every error as JSON."""
    check_problem(api.get("/v2/nothing"), 404)
    check_problem(api.get(PREVIEW), 405)
    check_problem(api.get("/v1/generator/batches", params={"limit": "0"}), 422)
    check_problem(api.get("/v1/generator/batches", params={"limit": "many"}), 422)
    check_problem(api.get("/v1/generator/batches", params={"before": "gen_nothing"}), 422)


def test_without_dagster_a_batch_is_accepted_and_health_says_why_nothing_is_built(api, lake):
    """Guards the promise while Dagster is away: on record, answered 202, and the server says it is not ready."""
    answer = api.post(GENERATE, json=SMALL, headers={"Idempotency-Key": "k1"})  # the wait runs out
    assert answer.status_code == 202
    batch_id = answer.json()["batch_id"]
    assert answer.json()["run_ids"] == []
    assert answer.headers["location"] == answer.json()["status_url"] == f"/v1/generator/batches/{batch_id}"
    again = api.post(GENERATE, json=SMALL, headers={"Idempotency-Key": "k1", "Prefer": "respond-async, wait=3"})
    assert (again.status_code, again.json()["batch_id"]) == (202, batch_id)
    assert again.headers["preference-applied"] == "respond-async"
    check_problem(api.post(GENERATE, json={**SMALL, "count": 11}, headers={"Idempotency-Key": "k1"}), 409)
    check_problem(api.post(GENERATE, json=SMALL, headers={"Idempotency-Key": "k" * 256}), 422)
    unready = api.get("/health/ready")
    check_problem(unready, 503)
    assert unready.json()["reasons"] == {"dagster": "Dagster cannot be asked"}
    asked = api.get(f"/v1/generator/batches/{batch_id}")
    check_problem(asked, 503)
    assert asked.headers["retry-after"]
    assert lake.names(lake.path("launches", "pending")) == [f"{batch_id}.json"]
    assert api.get("/health").json() == {"status": "ok"}


def test_metrics_count_by_route_and_never_by_name(api):
    """Guards Prometheus from a new series for each path that a stranger makes up."""
    api.get("/v1/generator/batches/gen_never_heard_of")
    text = api.get("/metrics").text
    assert 'sgf_http_requests_total{method="GET",route="/v1/generator/batches/{batch_id}",status="404"}' in text
    assert 'sgf_preview_stage_seconds_count{stage="model"}' in text
    assert "never_heard_of" not in text


def test_the_docs_load_nothing_from_elsewhere(api):
    """Guards /docs in a bank's network, and the API's origin from other people's scripts."""
    page = api.get("/docs").text
    assert "<script" not in page
    assert "http://127.0.0.1:8010/v1/generator/preview" in page
    assert page.count("https://") == 0
    document = api.get("/openapi.json").json()
    assert document["paths"][PREVIEW]["post"]["requestBody"]
    for name in document["paths"]:
        assert name in page


def test_a_tenant_sees_its_own_batches_alone(issuer, make_settings):
    """Guards tenants from one another: another's batch is as unknown as one that was never made."""
    settings = make_settings(
        sgf_oidc_issuer=issuer.url, sgf_oidc_audience=AUDIENCE, sgf_id_salt="a salt of one's own", sgf_api_rate=0,
        sgf_dagster_url=f"http://127.0.0.1:{free_port()}",
    )  # fmt: skip
    app = create_app(settings, MiniBackend(), wait_seconds=0)
    protect(app, settings)
    with running(app, settings) as address, httpx.Client(base_url=address, timeout=60) as client:
        acme, globex = ({"Authorization": f"Bearer {issuer.token(name)}"} for name in ("acme_robot", "globex_robot"))
        reader = {"Authorization": f"Bearer {issuer.token('acme_robot', 'sgf:read')}"}
        body = {**SMALL, "fraud_ratio": 0}
        made = client.post(GENERATE, json=body, headers=acme).json()["batch_id"]
        record = json.loads((LakeResource(url=settings.storage_url).path("requests", f"{made}.json")).read_bytes())
        assert (record["content"]["tenant"], record["delivery"]["requested_by"]) == ("acme", "api:acme_robot")
        for method in ("GET", "DELETE"):
            foreign = client.request(method, f"/v1/generator/batches/{made}", headers=globex)
            check_problem(foreign, 404)
            unknown = client.request(method, "/v1/generator/batches/gen_nothing", headers=globex)
            assert foreign.json()["detail"].replace(made, "gen_nothing") == unknown.json()["detail"]
        check_problem(client.get("/v1/generator/batches", params={"before": made}, headers=globex), 422)
        check_problem(client.post(GENERATE, json={**body, "tenant": "acme"}, headers=globex), 422)
        check_problem(client.post(PREVIEW, json={**body, "tenant": "acme"}, headers=globex), 422)
        check_problem(client.post(GENERATE, json=body, headers=reader), 403)
        check_problem(client.delete(f"/v1/generator/batches/{made}", headers=reader), 403)
        check_problem(client.post(PREVIEW, json=body), 401)
        assert client.post(PREVIEW, json=body, headers=acme).json()["request"]["tenant"] == "acme"
