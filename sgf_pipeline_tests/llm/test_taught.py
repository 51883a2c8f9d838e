"""Own vectors and sealed weights: what lies beside a taught adapter, and what it changes."""

import json
import shutil
from collections import Counter
from pathlib import Path

import pytest

from sgf_pipeline.domain.errors import ModelError
from sgf_pipeline.llm.backend import Prompt, in_order
from sgf_pipeline.llm.briefs import draw_briefs
from sgf_pipeline.llm.peft_backend import BUNDLED, PeftBackend
from sgf_pipeline.llm.taught import VECTORS_FILE, Taught, own_vectors, read_taught
from sgf_pipeline.llm.weights import SEALED_FILE, WEIGHTS_FILE, seal, unseal
from sgf_pipeline.scenarios import scenario
from sgf_pipeline_tests.own_fraud import VECTOR

PHISHING = scenario("phishing")
KEY = bytes(range(32))
KNOWN = next(brief for brief in PHISHING.matrix if brief.vector == "bank_impersonation")
OWN = [
    KNOWN.model_copy(update={"vector": VECTOR, "geography": where, "victim_segment": who})
    for where, who in (("domestic", "senior"), ("remote", "family"))
]


def taught(share: float = 0.6) -> Taught:
    found = own_vectors("phishing", share, [KNOWN, *OWN])
    assert found is not None
    return found


def test_own_vectors_have_the_cells_that_their_cases_showed() -> None:
    """Guards against cells that nobody taught, and against vectors that the matrix has anyway."""
    cells = taught().cells
    assert {cell.vector for cell in cells} == {VECTOR}
    assert len(set(cells)) == len(cells) == 4
    assert set(OWN) <= set(cells)
    assert own_vectors("phishing", 0.6, [KNOWN]) is None


@pytest.mark.parametrize("share", [0.1, 0.5, 0.6, 1.0])
def test_own_vectors_have_their_share_of_the_briefs(share: float) -> None:
    """Guards against a share that only holds for some numbers of cases, or is used up by the first ones."""
    for n in (1, 7, 40, 333):
        briefs = draw_briefs(PHISHING, n, seed=2, taught=taught(share))
        assert n * share <= sum(brief.vector == VECTOR for brief in briefs) < n * share + 1
    drawn = [brief.vector == VECTOR for brief in briefs]
    assert abs(sum(drawn[:100]) - 100 * share) < 1.5
    # cells take turns, and replacements go on where the first draw ended
    counts = Counter(brief for brief in briefs if brief.vector == VECTOR)
    assert max(counts.values()) - min(counts.values()) <= 1
    assert draw_briefs(PHISHING, 20, 2, start=13, taught=taught(share)) == briefs[13:33]


def test_without_own_vectors_nothing_changes() -> None:
    """Guards every recorded batch: the bundled model is asked what it always was."""
    stock = [brief for brief in draw_briefs(PHISHING, 100, 2, taught=taught(0.5)) if brief.vector != VECTOR]
    assert stock == draw_briefs(PHISHING, 50, seed=2)
    assert read_taught(BUNDLED / "adapters", "phishing") is None
    assert read_taught(None, "phishing") is None


def test_the_file_beside_an_adapter_is_read_back(tmp_path: Path) -> None:
    """Guards against one adapter's vectors for another scenario, and against a file that was edited into nonsense."""
    (tmp_path / "phishing").mkdir()
    file = tmp_path / "phishing" / VECTORS_FILE
    file.write_text(taught().model_dump_json())
    for folder in (tmp_path, tmp_path / "phishing"):
        assert read_taught(folder, "phishing") == taught()
        assert read_taught(folder, "card_testing") is None
    said = json.loads(taught().model_dump_json())
    for change in ({"share": 2}, {"vectors": {}}, {"vectors": {"arson__x": said["vectors"][VECTOR]}}):
        file.write_text(json.dumps(said | change))
        with pytest.raises(ModelError, match=r"vectors\.json.*sgf model train"):
            read_taught(tmp_path, "phishing")
    file.write_bytes(b"\xff")
    with pytest.raises(ModelError, match=r"vectors\.json"):
        read_taught(tmp_path, "phishing")


def test_sealed_bytes_tell_nothing_and_open_only_with_key_and_name() -> None:
    """Guards against weights at rest in clear, and against one sealed file in another's place."""
    data = b"weights" * 100
    sealed = seal(data, KEY, "one")
    assert b"weights" not in sealed
    assert seal(data, KEY, "one") != sealed  # another nonce every time
    assert unseal(sealed, KEY, "one") == data
    for wrong in (
        lambda: unseal(sealed, KEY[::-1], "one"),
        lambda: unseal(sealed, KEY, "two"),
        lambda: unseal(sealed[:-1], KEY, "one"),
        lambda: unseal(data, KEY, "one"),
        lambda: unseal(b"", KEY, "one"),
    ):
        with pytest.raises(ModelError, match="SGF_PARQUET_KEY"):
            wrong()


def test_a_sealed_adapter_answers_as_the_plain_one(tmp_path: Path) -> None:
    """Guards against an adapter that is loaded but for its weights, as first or as a second one; and against one that
    opens without its key."""
    adapters = tmp_path / "adapters"
    for name in ("phishing", "card_testing"):
        shutil.copytree(BUNDLED / "adapters" / name, adapters / name)
    for name in ("phishing",):
        plain = adapters / name / WEIGHTS_FILE
        (adapters / name / SEALED_FILE).write_bytes(seal(plain.read_bytes(), KEY, SEALED_FILE))
        plain.unlink()
    prompts = [
        Prompt(brief, 0, 1, 5)
        for name in ("phishing", "card_testing", "phishing")
        for brief in scenario(name).matrix[:3]
    ]
    expected = in_order(PeftBackend(), prompts)
    assert in_order(PeftBackend(None, adapters, KEY), prompts) == expected
    assert in_order(PeftBackend(None, adapters, KEY), prompts[3:]) == expected[3:]
    for key in (None, KEY[::-1]):
        with pytest.raises(ModelError, match="SGF_PARQUET_KEY"):
            in_order(PeftBackend(None, adapters, key), prompts)
