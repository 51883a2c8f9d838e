"""What a trained model is worth: answers it gives at the first try, measured against its corpus.

Belongs here: the measures that the model card states. Does not belong here: judging one answer
(``sgf_pipeline.llm.writer.validate_answer``).
"""

import time

from sgf_pipeline.domain.cases import FraudCase
from sgf_pipeline.domain.scenario_names import ScenarioName
from sgf_pipeline.llm.backend import Backend, Prompt, in_order
from sgf_pipeline.llm.briefs import draw_briefs
from sgf_pipeline.llm.writer import validate_answer
from sgf_pipeline.scenarios import scenario as scenario_of
from sgf_pipeline.training.corpus import Corpus, is_held_out

CASES = 500
DISTINCT_AMONG = 200


def evaluate(
    scenario: ScenarioName, corpus: Corpus, backend: Backend, seed: int, cases: int = CASES
) -> dict[str, float]:
    """Shares over ``cases`` first answers to briefs drawn without replacement.

    ``valid``: accepted by schema, constraints and brief; ``valid_held_out``: the same over cells never trained on;
    ``distinct``: different signatures among the first 200 valid cases; ``new_structure``: signature that no case of
    the training corpus has; ``new_text``: JSON that no case of it has; ``new_story``: story that no case of it has;
    ``coverage``: cells of the matrix with a valid case, of those that ``cases`` could have reached;
    ``rows``: mean sum of step counts; ``tokens``: mean tokens an answer; ``seconds_per_100``: time for 100 answers.
    """
    definition = scenario_of(scenario)
    briefs = draw_briefs(definition, cases, seed)
    in_order(backend, [Prompt(briefs[0], 0, 1, seed)])  # loading is not what is timed
    started = time.monotonic()
    completions = in_order(backend, [Prompt(brief, 0, 1, seed) for brief in briefs])
    seconds = time.monotonic() - started
    answers = [
        validate_answer(completion.text, brief, definition)
        for completion, brief in zip(completions, briefs, strict=True)
    ]
    valid = [answer for answer in answers if isinstance(answer, FraudCase)]
    held_out = [
        isinstance(answer, FraudCase) for answer, brief in zip(answers, briefs, strict=True) if is_held_out(brief)
    ]
    cells = {brief.key for answer, brief in zip(answers, briefs, strict=True) if isinstance(answer, FraudCase)}
    known = corpus.train[scenario]
    signatures = {example.case.signature() for example in known}
    ids = {example.case.case_id for example in known}
    stories = {example.case.story for example in known}
    first = valid[:DISTINCT_AMONG]
    return {
        "cases": float(cases),
        "valid": len(valid) / cases,
        "valid_held_out": _share(sum(held_out), len(held_out)),
        "distinct": _share(len({case.signature() for case in first}), len(first)),
        "new_structure": _share(sum(case.signature() not in signatures for case in valid), len(valid)),
        "new_text": _share(sum(case.case_id not in ids for case in valid), len(valid)),
        "new_story": _share(sum(case.story not in stories for case in valid), len(valid)),
        "coverage": len(cells) / min(len(definition.matrix), cases),
        "rows": _share(sum(step.count for case in valid for step in case.steps), len(valid)),
        "tokens": _share(sum(completion.output_tokens for completion in completions), cases),
        "seconds_per_100": 100 * seconds / cases,
    }


def _share(part: int, whole: int) -> float:
    return part / whole if whole else 0.0
