"""A scripted night: a schedule's tick, seven runs, a manifest, all from a running daemon.

``python -m sgf_pipeline_tests.benchmarks.night [--rows 50000] [--postgres] [--folder DIR]``

Makes an instance and a storage of its own, with one tenant whose night is due at the next full minute, starts
``dagster-daemon`` on it and watches. The last line is JSON: shards, rows, the manifest's address, and the seconds
from the tick to the manifest. ``--postgres`` puts instance and warehouse on a PostgreSQL that is started for the
purpose, with the server's ``dagster.yaml``.
"""

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path

from sgf_pipeline_tests.integration.services import Postgres

ROOT = Path(__file__).parents[2]
START_SECONDS = 15  # what a daemon needs before it looks at schedules
LIMIT_SECONDS = 900
TENANT = """
tenants:
  - tenant: acme
    first_night: {night}
    at: "{at}"
    catch_up_nights: 0
    days: 31
    population_size: 450
    request: {{count: {rows}, fraud_ratio: 0.04, countries: [FR, DE, IT]}}
"""


def main() -> None:
    """Run the night; exit 1 when it ends without a manifest."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=50_000, help="transactions of the night")
    parser.add_argument("--postgres", action="store_true", help="instance and warehouse on PostgreSQL")
    parser.add_argument("--folder", type=Path, help="keep everything there; a temporary folder by default")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that the servers end with this process
    with ExitStack() as ended:
        folder = options.folder or Path(ended.enter_context(tempfile.TemporaryDirectory(prefix="sgf-night-")))
        folder.mkdir(parents=True, exist_ok=True)
        print(json.dumps(_night(folder.resolve(), options.rows, options.postgres, ended)))


def _night(folder: Path, rows: int, postgres: bool, ended: ExitStack) -> dict[str, object]:
    tick = (datetime.now(UTC) + timedelta(seconds=START_SECONDS + 60)).replace(second=0, microsecond=0)
    night = tick.date() - timedelta(days=1)
    home = folder / "home"
    home.mkdir(exist_ok=True)
    environment = {
        **os.environ,
        "HF_HUB_OFFLINE": "1",
        "DAGSTER_HOME": str(home),
        "SGF_CACHE_DIR": str(folder / "cache"),
        "SGF_STORAGE_URL": str(folder / "data"),
        "SGF_TENANTS": str(folder / "tenants.yaml"),
    }
    (folder / "tenants.yaml").write_text(TENANT.format(night=night, at=f"{tick:%H:%M}", rows=rows))
    shutil.copyfile(ROOT / ("k8s" if postgres else ".") / "dagster.yaml", home / "dagster.yaml")
    if postgres:
        server = Postgres(folder)
        ended.callback(server.stop)
        environment["DATABASE_URL"] = server.new_database()
        environment["DAGSTER_POSTGRES_URL"] = server.new_database().replace("postgresql://", "postgresql+psycopg2://")
    batch = folder / "data" / "datasets" / "tenant=acme" / f"batch_id=nightly_acme_{night:%Y_%m_%d}"
    manifest = batch / "_manifest.json"
    if manifest.exists():
        raise SystemExit(f"--folder {str(folder)!r} holds this night already: name another")
    print(f"the night of {night} is due at {tick:%H:%M} UTC; {folder}", file=sys.stderr)
    with (folder / "daemon.log").open("wb") as log:
        daemon = subprocess.Popen(
            [sys.executable, "-m", "dagster._daemon", "run", "--module-name", "sgf_pipeline.definitions"],
            cwd=ROOT, env=environment, stdout=log, stderr=subprocess.STDOUT, start_new_session=True,
        )  # fmt: skip
        ended.callback(os.killpg, daemon.pid, signal.SIGKILL)
        told = 0
        while not manifest.exists():
            time.sleep(0.2)
            receipts = len(list(batch.glob("_receipts/*.json")))
            if receipts != told:
                told = receipts
                print(f"{_since(tick):6.1f} s: receipts of {told} shards", file=sys.stderr)
            if daemon.poll() is not None or _since(tick) > LIMIT_SECONDS:
                print((folder / "daemon.log").read_text()[-4000:], file=sys.stderr)
                raise SystemExit("the night ended without a manifest: see the daemon's last words above")
        seconds = _since(tick)
    written = json.loads(manifest.read_text())
    return {
        "shards": len(written["shards"]),
        "rows": written["rows"],
        "manifest": str(batch / "_manifests" / f"{written['number']}.json"),
        "seconds": round(seconds, 1),
    }


def _since(moment: datetime) -> float:
    return (datetime.now(UTC) - moment).total_seconds()


if __name__ == "__main__":
    main()
