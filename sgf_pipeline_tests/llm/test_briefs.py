"""The draw of briefs: the matrix is used up before it is repeated, and replacements go on where it ended."""

from sgf_pipeline.llm.briefs import draw_briefs
from sgf_pipeline.scenarios import SCENARIOS

CARD_TESTING = SCENARIOS["card_testing"]


def test_no_cell_twice_before_all_once() -> None:
    """Guards against drawing with replacement, which would cost diversity."""
    for scenario in SCENARIOS.values():
        size = len(scenario.matrix)
        assert size >= 200
        assert set(draw_briefs(scenario, size, seed=1)) == set(scenario.matrix)
        assert draw_briefs(scenario, 3, seed=1, start=size) == draw_briefs(scenario, 3, seed=1)


def test_a_draw_goes_on_where_it_ended() -> None:
    """Guards against replacements that repeat briefs which are already in the batch."""
    whole = draw_briefs(CARD_TESTING, 30, seed=5)
    assert draw_briefs(CARD_TESTING, 10, seed=5) + draw_briefs(CARD_TESTING, 20, seed=5, start=10) == whole


def test_another_seed_draws_other_briefs() -> None:
    """Guards against a seed that does not reach the draw."""
    first, second = (draw_briefs(CARD_TESTING, 20, seed=seed) for seed in (1, 2))
    assert first != second
    assert len(set(first) & set(second)) < 10
