"""The model card that ships beside the weights, written from measured figures.

Belongs here: its wording. Does not belong here: measuring.
"""

from typing import Any

_TEXT = """# sgf-mini

A small language model that writes fraud cases: given one line that names a cell of a scenario's coverage matrix, it
answers with the JSON of a `FraudCase`. It was trained from nothing by this project, on data that this project wrote.
It knows no other text, no person and no real transaction, and it is good for nothing else.

- **Base**: a Llama of {parameters:.2f} million parameters ({layers} layers × {width}, tied embeddings, fp16) and a
  byte-level BPE of {vocabulary} tokens that splits no words (only decimals stand alone), so that keys and common
  phrases are single tokens.
- **Adapters**: one LoRA of rank {rank} a scenario ({adapter_parameters:.2f} million parameters each, fp16).
- **Data**: {archetypes}, written by hand after public typologies and widened over each
  scenario's coverage matrix (`sgf_pipeline/training`): {cases} cases in all. One cell in twenty is held out.
- **Training**: `python -m sgf_pipeline.training --seed {seed}`; base {steps:.0f} steps of {batch} cases
  ({base_minutes:.1f} minutes), each adapter the steps of the table, on CPU cores.
- **Loss** (nats a token) of the base: {loss_train:.3f} on the last tenth of training, {loss_held_out:.3f} on held-out
  cells.

Answers are drawn at {sampling}. The figures below are first answers to briefs drawn without replacement,
without constrained decoding and before anything is asked again.

| | {names} |
|---|{rule}
{rows}

*Structurally different*: vector, ordered step kinds, channels, bases, and buckets of amounts and times differ.
*New structure*, *text*, *story*: no case of the training corpus has the same.

Limits: nearly every story is one of the corpus, word for word, in English; what varies is the plan. A vector or step
kind that is not in the scenario's tables cannot appear. Answers repeat bit by bit only on the same processor
architecture and versions.
"""

_ROWS = (
    ("training steps of the adapter", "adapter", "steps", "{:.0f}"),
    ("held-out loss, base alone", "adapter", "loss_base", "{:.3f}"),
    ("held-out loss with the adapter", "adapter", "loss_held_out", "{:.3f}"),
    ("answers measured", "evaluation", "cases", "{:.0f}"),
    ("valid at the first try", "evaluation", "valid", "{:.1%}"),
    ("valid at the first try, held-out cells", "evaluation", "valid_held_out", "{:.1%}"),
    ("structurally different among 200", "evaluation", "distinct", "{:.1%}"),
    ("new structure", "evaluation", "new_structure", "{:.1%}"),
    ("new text", "evaluation", "new_text", "{:.1%}"),
    ("new story", "evaluation", "new_story", "{:.1%}"),
    ("cells covered, of those reachable", "evaluation", "coverage", "{:.1%}"),
    ("mean sum of step counts", "evaluation", "rows", "{:.1f}"),
    ("mean tokens an answer", "evaluation", "tokens", "{:.0f}"),
    ("seconds for 100 cases, two CPU cores", "evaluation", "seconds_per_100", "{:.1f}"),
)


def model_card(figures: dict[str, Any], facts: dict[str, Any]) -> str:
    """The card as Markdown.

    ``figures`` holds ``base`` (of ``train_base``), ``adapters`` and ``evaluation`` (scenario → figures of
    ``train_adapter`` and ``evaluate``); ``facts`` the remaining words of the text.
    """
    names = list(figures["evaluation"])
    parts = {"adapter": figures["adapters"], "evaluation": figures["evaluation"]}
    rows = [
        "| " + " | ".join([title, *[form.format(parts[part][name][key]) for name in names]]) + " |"
        for title, part, key, form in _ROWS
    ]
    base, adapter = figures["base"], figures["adapters"][names[0]]
    return _TEXT.format(
        names=" | ".join(names),
        rule="---|" * len(names),
        rows="\n".join(rows),
        parameters=base["parameters"] / 1e6,
        adapter_parameters=adapter["parameters"] / 1e6,
        steps=base["steps"],
        base_minutes=base["seconds"] / 60,
        loss_train=base["loss_train"],
        loss_held_out=base["loss_held_out"],
        **facts,
    )
