"""sgf-mini's short way gives what its long way gives."""

import pytest

from sgf_pipeline.llm.backend import Prompt, in_order
from sgf_pipeline.llm.briefs import draw_briefs
from sgf_pipeline.llm.mini_backend import MiniBackend
from sgf_pipeline.llm.peft_backend import PeftBackend
from sgf_pipeline.scenarios import SCENARIOS, scenario


@pytest.fixture(scope="module")
def mini() -> MiniBackend:
    return MiniBackend()


def prompts(*names: str, seed: int = 3) -> list[Prompt]:
    return [Prompt(brief, 0, 1, seed) for name in names for brief in draw_briefs(scenario(name), 2, seed)]


def test_it_answers_as_transformers_and_peft_do(mini):
    """Guards the arithmetic of our own: a norm, a rotation or an adapter that is wrong would give other cases."""
    asked = prompts("card_testing", "phishing")
    assert in_order(mini, asked) == in_order(PeftBackend(), asked)


def test_rows_that_share_a_loop_do_not_see_one_another(mini):
    """Guards against a row that attends to its neighbour's tokens, or takes its adapter."""
    together = in_order(mini, prompts(*SCENARIOS))
    assert in_order(mini, prompts("phishing")) == together[10:12]
    assert in_order(mini, prompts("phishing")[:1]) == together[10:11]


def test_longer_lists_than_one_loop_holds_keep_their_order(mini):
    """Guards a preview that is all fraud: every prompt gets the answer to itself."""
    asked = [one for seed in range(9) for one in prompts("merchant_fraud", "phishing", seed=seed)]
    answers = in_order(mini, asked)
    assert len(answers) == len(asked) == 36
    for prompt, answer in zip(asked, answers, strict=True):
        assert f'"{prompt.brief.scenario}"' in answer.text
    assert answers[32:] == in_order(mini, asked[32:])
