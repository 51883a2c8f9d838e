"""``--quote``: what the model may take for a batch, before anything is registered, asked or built.

Belongs here: the table. Does not belong here: how costs are reckoned (``sgf_pipeline.resources.llm``).
"""

import json
from typing import Any

import typer

from sgf_pipeline import batches
from sgf_pipeline.definitions import llm_of
from sgf_pipeline.domain.request import parse_request
from sgf_pipeline.llm.backend import Estimate, free_of_charge, total
from sgf_pipeline.settings import read_settings


def tell_quote(content: dict[str, Any], delivery: dict[str, Any], *, as_json: bool) -> None:
    """Print cases, calls, tokens and the most that they cost, a scenario and in all. Needs no key."""
    request = parse_request("gen_0", content, delivery)
    batches.check_buildable(request)
    llm = llm_of(read_settings())
    quote = llm.quote(request.content)
    in_all = total(quote.values())
    unpriced = llm.unpriced(request.content)
    for sentence in free_of_charge(unpriced):
        typer.echo(sentence, err=True)
    if as_json:
        typer.echo(
            json.dumps(
                {
                    "provider": request.content.provider,
                    "scenarios": {name: vars(one) for name, one in quote.items()},
                    "in_all": vars(in_all),
                    "unpriced_models": unpriced,
                }
            )
        )
        return
    typer.echo(f"  {'':<18} {'cases':>7} {'calls':>7} {'tokens in':>12} {'tokens out':>12} {'USD at most':>12}")
    for name, one in (*quote.items(), ("in all", in_all)):
        typer.echo(_line(name, one))
    typer.echo("every case asked for once, each answer as long as is allowed; what the cache holds costs nothing")


def _line(name: str, one: Estimate) -> str:
    read, written = (f"{tokens:,}" if tokens is not None else "-" for tokens in (one.input_tokens, one.output_tokens))
    return f"  {name:<18} {one.cases:>7,} {one.calls:>7,} {read:>12} {written:>12} {one.cost_usd:>12.4f}"
