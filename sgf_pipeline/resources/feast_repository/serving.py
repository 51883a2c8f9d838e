"""Fill and read the online store of this repository: what `sgf features` runs in Feast's own environment.

    python serving.py materialize   everything that views.json names, anew
    python serving.py read          features of each of some keys

The question is one JSON object on stdin (among its fields the connection to Redis, so that no password stands in a
file, an argument or the environment of another process); the answer is one JSON object on stdout. Exit code 75: the
online store did not answer; 76: it refuses. It runs in Feast's own environment, so it imports nothing of SGF.
"""

import contextlib
import json
import logging
import math
import os
import sys
import time
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from feast import FeatureStore
from redis.exceptions import AuthenticationError, RedisError
from redis.exceptions import ConnectionError as NoConnection
from redis.exceptions import TimeoutError as NoAnswer

FOLDER = Path(__file__).resolve().parent
NO_ANSWER, REFUSED = 75, 76


def materialize(store: FeatureStore, question: dict[str, Any]) -> dict[str, Any]:
    """Empty the online store of this project, then write every key's newest row into it."""
    from features import DEFINITIONS  # type: ignore[import-not-found]  # the file beside this one

    began = time.perf_counter()
    # The store must know the definitions to empty what they left, and forgets them by that.
    store.apply(DEFINITIONS)
    store.teardown()
    store.apply(DEFINITIONS)
    as_of = datetime.fromisoformat(question["as_of"])
    store.materialize(as_of - timedelta(microseconds=1), as_of)
    return {"seconds": round(time.perf_counter() - began, 3)}


def read(store: FeatureStore, question: dict[str, Any]) -> dict[str, Any]:
    """The asked features of each key; null where undefined or where the key is not in the store."""
    keys = question["keys"]
    answer = store.get_online_features(features=question["features"], entity_rows=keys).to_dict()
    names = [feature.split(":")[1] for feature in question["features"]]
    return {"rows": [{name: _number(answer[name][row]) for name in names} for row in range(len(keys))]}


def _number(value: float | None) -> float | None:
    return None if value is None or math.isnan(value) else value


def main() -> int:
    """Answer one question."""
    logging.basicConfig(stream=sys.stderr, level=logging.ERROR)
    question = json.load(sys.stdin)
    os.environ["SGF_FEAST_REDIS"] = question.get("redis", "")
    todo = {"materialize": materialize, "read": read}[sys.argv[1]]
    try:
        with contextlib.redirect_stdout(sys.stderr):  # Feast prints its progress
            answer = todo(FeatureStore(repo_path=str(FOLDER)), question)
    except (NoConnection, NoAnswer) as error:
        print(error, file=sys.stderr)
        return REFUSED if isinstance(error, AuthenticationError) else NO_ANSWER
    except RedisError as error:
        print(error, file=sys.stderr)
        return REFUSED
    print(json.dumps(answer))
    return 0


if __name__ == "__main__":
    sys.exit(main())
