"""Whether repetition is found: copies, half copies and new cases, beside what chance makes alike."""

import json

import pytest

from sgf_pipeline.domain.cases import FraudCase
from sgf_pipeline.training.memorisation import memorisation, nearness
from sgf_pipeline_tests.own_fraud import own_cases

CASES = [FraudCase.model_validate_json(json.dumps(case)) for case in own_cases(120)]
TAUGHT, HELD_OUT, NEW = CASES[:60], CASES[60:90], CASES[90:]


def test_new_cases_are_no_copies() -> None:
    """Guards against a measure that calls every case of the kind a copy: new ones lie where held-out ones do."""
    found = memorisation(NEW, HELD_OUT, TAUGHT)
    assert found["copied"] == 0
    assert found["too_near"] <= 0.2
    assert found["distance"] == pytest.approx(found["distance_held_out"], abs=0.1)


def test_copies_are_found() -> None:
    """Guards against a model that hands its user's cases to whoever asks."""
    found = memorisation(TAUGHT[:30], HELD_OUT, TAUGHT)
    assert (found["copied"], found["too_near"], found["distance"]) == (1, 1, 0)
    assert found["longest_run"] == 8 * max(len(case.steps) for case in TAUGHT[:30])
    assert found["longest_run"] > found["longest_run_held_out"]


def test_a_copy_in_another_cell_or_with_another_story_is_a_copy() -> None:
    """Guards against what the brief dictates as a disguise."""
    disguised = [
        case.model_copy(update={"victim_segment": "student", "story": "Something else altogether happened here."})
        for case in TAUGHT
    ]
    assert memorisation(disguised, HELD_OUT, TAUGHT)["copied"] == 1


def test_copies_with_one_figure_changed_are_near() -> None:
    """Guards against a measure that one changed figure deceives."""
    changed = []
    for case in TAUGHT[:30]:
        fields = case.model_dump()
        fields["steps"][-1]["wait_minutes"] = 2 * fields["steps"][-1]["wait_minutes"] + 1
        changed.append(FraudCase.model_validate(fields))
    found = memorisation(changed, HELD_OUT, TAUGHT)
    assert found["copied"] == 0
    assert found["too_near"] > 0.9


def test_a_third_digit_is_no_difference() -> None:
    """Guards against figures rounded on the way to the model as proof that it copied nothing."""
    rounded = []
    for case in TAUGHT[:30]:
        fields = case.model_dump()
        for step in fields["steps"]:
            step["low"], step["high"] = (float(f"{step[name]:.2g}") for name in ("low", "high"))
        rounded.append(FraudCase.model_validate(fields))
    assert memorisation(rounded, HELD_OUT, TAUGHT)["copied"] == 1


def test_the_nearest_of_all_counts() -> None:
    """Guards against stopping at the first taught case."""
    near = nearness([TAUGHT[-1]], TAUGHT)
    assert (near.copies, near.distances) == (1, (0.0,))
    alone = nearness([TAUGHT[-1]], TAUGHT[:1])
    assert alone.copies == 0
    assert alone.distances[0] > 0
