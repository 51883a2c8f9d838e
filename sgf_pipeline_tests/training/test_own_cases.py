"""A user's own cases: read from any of his files, and every fault told with file, line, field and remedy."""

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from sgf_pipeline.domain.cases import FraudCase
from sgf_pipeline.domain.errors import InvalidRequestError
from sgf_pipeline.training.identifiers import identifier_in
from sgf_pipeline.training.own_cases import read_own_cases
from sgf_pipeline_tests.own_fraud import VECTOR, own_cases, write_own_cases

CASE = own_cases(1)[0]
# What must never be taught, made up or from documentation ranges; the check digits are right.
IDENTIFIERS = {
    "a card number": ("4111 1111 1111 1111", "5500-0055-5555-5559", "４１１１１１１１１１１１１１１１"),
    "an IBAN": ("DE89 3704 0044 0532 0130 00", "gb29nwbk60161331926819", "FR7630006000011234567890189 was used"),
    "an e-mail address": ("someone@example.org",),
    "an IP address": ("192.0.2.17", "2001:db8::17"),
    "a telephone number": ("+33 1 99 00 12 34", "(030) 23125 123", "01-99-00-12-34"),
    "a long number": ("1234567", "account 00012345678901234567890"),
}


def told(folder: Path) -> str:
    with pytest.raises(InvalidRequestError) as refused:
        read_own_cases(folder)
    return str(refused.value)


def write(folder: Path, *records: Any, name: str = "cases.jsonl") -> Path:
    lines = [record if isinstance(record, str) else json.dumps(record) for record in records]
    (folder / name).write_text("\n".join(lines) + "\n")
    return folder


def test_files_of_every_form_are_read_and_duplicates_counted(tmp_path: Path) -> None:
    """Guards against a form that is read as another one, and against one case that weighs twice."""
    cases = own_cases(8)
    write(tmp_path, *cases[:3], "", cases[0])
    flat = pa.Table.from_pylist(cases[2:6])
    pq.write_table(flat, tmp_path / "flat.parquet")
    text = pa.table({"case": [json.dumps(case) for case in cases[5:]], "when": ["today"] * 3})
    (tmp_path / "below").mkdir()
    pq.write_table(text, tmp_path / "below" / "text.parquet")
    (tmp_path / ".hidden").write_text("no case")
    own = read_own_cases(tmp_path)
    assert {one.case.case_id for one in own.examples} == {FraudCase.model_validate(case).case_id for case in cases}
    assert (own.duplicates, own.files) == (3, 3)
    assert all(example.case.follows(example.brief) for example in own.examples)
    assert len(own.of("phishing")) == 8
    assert own.of("card_testing") == ()


def test_a_case_belongs_to_a_cell_of_its_vector(tmp_path: Path) -> None:
    """Guards against teaching cells that a batch cannot ask for."""
    (example,) = read_own_cases(write(tmp_path, CASE)).examples
    assert example.brief.vector == VECTOR
    assert example.brief.channel in ("online_banking", "mobile")
    assert "vector: bank_impersonation is known on" in told(write(tmp_path, CASE | {"tempo": "slow"}))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"tempo": "hasty"}, "line 2: tempo: Input should be 'burst', 'steady' or 'slow'"),
        ({"customers": 4.5}, "line 2: customers: "),
        ({"comment": "extra"}, "line 2: comment: Extra inputs are not permitted"),
        ({"scenario": "arson"}, "line 2: scenario: "),
        ({"outsiders": 0, "steps": [CASE["steps"][-1]]}, "line 2: steps: "),
        ({"vector": "cloned_voice"}, "bank_impersonation__your_word"),
        ({"vector": "bank_impersonation__"}, "two underscores and your own word"),
        ({"vector": "no_such_vector__cloned_voice"}, "phishing does not know it"),
        # money that goes to a mule, where the vector says that stolen credentials pay
        ({"vector": "smishing_credentials__cloned_voice"}, "line 2: steps: smishing_credentials"),
    ],
)
def test_each_fault_is_named(change: dict[str, Any], said: str, tmp_path: Path) -> None:
    """Guards against a case that the model would learn and the writer then reject."""
    if "steps" not in change:
        change = {**change, "steps": CASE["steps"]}
    assert said in told(write(tmp_path, own_cases(2)[1], CASE | change))


def test_every_problem_of_every_file_is_told_at_once(tmp_path: Path) -> None:
    """Guards against a user who mends one line a run."""
    write(tmp_path, CASE | {"tempo": "x"}, CASE, "{", name="a.jsonl")
    write(tmp_path, "[1]", name="b.ndjson")
    (tmp_path / "c.csv").write_text("no")
    (tmp_path / "d.parquet").write_bytes(b"PAR1 no")
    (tmp_path / "e.jsonl").write_bytes(b"\xff\xfe")
    lines = told(tmp_path).splitlines()
    assert [line.split(":")[0] for line in lines] == [
        "a.jsonl line 1", "a.jsonl line 3", "b.ndjson line 1", "c.csv", "d.parquet", "e.jsonl",
    ]  # fmt: skip
    write(tmp_path, *["{"] * 50)
    assert told(tmp_path).splitlines()[-1] == "and 36 problems more"


@pytest.mark.parametrize(("kind", "value"), [(kind, value) for kind, values in IDENTIFIERS.items() for value in values])
def test_identifiers_are_refused_and_never_repeated(kind: str, value: str, tmp_path: Path) -> None:
    """Guards against a person's number in the weights, and in a log on the way there: in a story, in a field that does
    not belong there, and in a field's name."""
    for record in (
        CASE | {"story": f"The caller named {value} and asked for payments."},
        CASE | {"note": {"of": ["nothing", f"seen: {value}"]}},
        CASE | {value: 1},
    ):
        sentence = told(write(tmp_path, record))
        assert "cases.jsonl line 1: " in sentence
        assert kind in sentence
        assert value not in sentence
        assert value not in sentence.replace(" ", "")


@pytest.mark.parametrize(
    "story",
    [
        "Pensioners paid 2500.00, then 3500, in 2 steps at 10:30, 24/7.",
        "Between 2023-2024 every third victim lost 12.50 twice; on 2025-01-31 it ended.",
        "A caller (the bank's fraud desk) had 4 payments of 1,000 made within 20 minutes.",
    ],
)
def test_sums_and_dates_are_no_identifiers(story: str) -> None:
    """Guards against refusing what a story may well say."""
    assert identifier_in(story) is None


def test_nothing_to_read_is_said(tmp_path: Path) -> None:
    """Guards against an adapter that is taught nothing in silence."""
    assert "holds no file" in told(tmp_path)
    assert "does not exist" in told(tmp_path / "absent")


def test_the_files_to_try_it_with_are_valid(tmp_path: Path) -> None:
    """Guards the documents' own example."""
    own = read_own_cases(write_own_cases(tmp_path))
    assert (len(own.examples), own.duplicates, own.files) == (180, 0, 2)
    assert {example.case.vector for example in own.examples} == {VECTOR}
