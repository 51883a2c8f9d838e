"""What a general model is told: all that it may use, and nothing that would be thrown away."""

import json

import pytest

from sgf_pipeline.domain.cases import FraudCase
from sgf_pipeline.llm.prompts import examples, instructions, question
from sgf_pipeline.scenarios import SCENARIOS


@pytest.mark.parametrize("name", SCENARIOS)
def test_the_instructions_explain_every_word_of_the_scenario_and_show_good_cases(name: str) -> None:
    """Guards against a vector or step kind that the model is never told of, and an example that breaks the rules."""
    table, text = SCENARIOS[name], instructions(name)
    for word, vector in table.vectors.items():
        assert f"- {word}: {vector.meaning}" in text
    for word, kind in table.step_kinds.items():
        assert f"- {word} ({' or '.join(kind.channels)}; {' or '.join(kind.bases)}): {kind.meaning}" in text
    shown = [FraudCase.model_validate_json(line) for line in text.splitlines() if line.startswith('{"scenario"')]
    assert [json.loads(case.model_dump_json()) for case in shown] == examples()[name]
    for case in shown:
        assert table.violations(case) == []
        assert any(case.follows(brief) for brief in table.matrix)


def test_a_question_names_each_cell_and_tells_repeats_apart() -> None:
    """Guards against cells that cannot be told from one another, and a repeat that is the same question again."""
    briefs = SCENARIOS["card_testing"].matrix[:2]
    text = question(briefs, [0, 12])
    assert text.splitlines()[0] == "Write 2 cases of card_testing, one for each cell:"
    for number, brief in enumerate(briefs, 1):
        line = text.splitlines()[number]
        assert line.startswith(f"{number}. ")
        for field, value in brief.model_dump(exclude={"scenario"}).items():
            assert f"{field} {value}" in line
    assert question(briefs, [0, 0]) != text
