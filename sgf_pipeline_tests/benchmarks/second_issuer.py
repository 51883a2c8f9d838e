"""A second, independent issuer: tokens of npm's certified ``oidc-provider`` at our door.

    npm install --prefix /tmp/oidc oidc-provider
    python -m sgf_pipeline_tests.benchmarks.second_issuer /tmp/oidc

Not part of the tests, because it needs Node. It prints what was answered, and fails where that is wrong.
"""

import argparse
import subprocess
import tempfile
from pathlib import Path

import httpx

from sgf_pipeline.settings import Settings
from sgf_pipeline_tests.api.running import guarded, running
from sgf_pipeline_tests.integration.services import free_port, listens, wait_for

CLIENT = ("acme_robot", "a secret that is long enough for anyone")


def try_issuer(folder: Path, algorithm: str) -> None:
    """One provider with one key of that algorithm; raises ``AssertionError`` where an answer is wrong."""
    port = free_port()
    script = Path(__file__).with_suffix(".mjs")
    provider = subprocess.Popen(["node", script, str(port), algorithm], cwd=folder, stderr=subprocess.DEVNULL)
    try:
        wait_for(lambda: listens(port), "oidc-provider")
        settings = Settings.model_validate(
            {
                "sgf_oidc_issuer": f"http://127.0.0.1:{port}",
                "sgf_oidc_audience": "https://sgf.example",
                "sgf_id_salt": "a salt of one's own",
                "sgf_storage_url": tempfile.gettempdir(),
            }
        )

        def token(**asked: str) -> str:
            form = {"grant_type": "client_credentials", **asked}
            answer = httpx.post(f"http://127.0.0.1:{port}/token", data=form, auth=CLIENT)
            answer.raise_for_status()
            return str(answer.json()["access_token"])

        with running(guarded(settings), settings) as address:

            def ask(sent: str) -> httpx.Response:
                return httpx.get(f"{address}/v1/who", headers={"Authorization": f"Bearer {sent}"})

            sound = ask(token(scope="sgf:read sgf:preview"))
            known = {"subject": "acme_robot", "tenant": "acme", "scopes": ["sgf:preview", "sgf:read"]}
            assert sound.json() == known, sound.text
            assert ask(token(scope="sgf:generate")).status_code == 403
            elsewhere = ask(token(scope="sgf:read", resource="https://other.example"))
            assert elsewhere.status_code == 401, elsewhere.text
        print(f"{algorithm}: accepted; another scope 403; another audience 401 ({elsewhere.json()['detail']})")
    finally:
        provider.terminate()
        provider.wait()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="where npm has installed oidc-provider")
    folder = parser.parse_args().folder
    for algorithm in ("RS256", "PS256", "ES256"):
        try_issuer(folder, algorithm)


if __name__ == "__main__":
    main()
