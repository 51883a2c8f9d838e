"""``sgf cases show``: cases as an analyst would tell them."""

import typer

from sgf_pipeline import batches
from sgf_pipeline.assets.stage_files import stage_path
from sgf_pipeline.definitions import lake_of, llm_of
from sgf_pipeline.domain.cases import CaseStep, FraudCase
from sgf_pipeline.domain.request import check_scenario
from sgf_pipeline.llm.recorded import recorded_cases
from sgf_pipeline.scenarios import scenario
from sgf_pipeline.scenarios.base import Scenario
from sgf_pipeline.settings import Settings, read_settings

BASIS_WORDS = {
    "unit": "units of the currency",
    "habit": "times the victim's habit",
    "balance": "of the balance",
    "threshold": "of the reporting threshold",
    "carry": "of what arrived",
}


def show(name: str, *, batch_id: str | None, count: int, seed: int, storage_url: str | None) -> None:
    """Print ``count`` cases of a batch, or new ones of the model when no batch is named."""
    table = scenario(check_scenario(name))
    settings = read_settings(**({"sgf_storage_url": storage_url} if storage_url else {}))
    cases = _of_batch(settings, table, batch_id) if batch_id else _new(settings, table, count, seed)
    for number, case in enumerate(cases[:count], 1):
        typer.echo(_told(number, case, table))


def _of_batch(settings: Settings, table: Scenario, batch_id: str) -> list[FraudCase]:
    lake = lake_of(settings)
    request = batches.load(lake, batch_id)
    return recorded_cases(lake.read_rows(stage_path(lake, "fraud_cases", request.batch_id, table.name)))


def _new(settings: Settings, table: Scenario, count: int, seed: int) -> list[FraudCase]:
    from sgf_pipeline.llm.briefs import draw_briefs

    llm = llm_of(settings)
    taught = llm.taught(table.name)
    replacements = iter(draw_briefs(table, len(table.matrix), seed, start=count, taught=taught))
    briefs = draw_briefs(table, count, seed, taught=taught)
    return [one.case for one in llm.writer(seed).write_cases(briefs, replacements)]


def _told(number: int, case: FraudCase, table: Scenario) -> str:
    shop = f", MCC {case.merchant_category}" if case.merchant_category else ""
    lines = [
        f"{number}. {case.vector.replace('_', ' ')} ({case.case_id}): {case.story}",
        f"   {case.sophistication} sophistication, {case.tempo}, {case.geography.replace('_', ' ')};"
        f" {_counted(case.customers, 'customer')} ({case.victim_segment.replace('_', ' ')}),"
        f" {_counted(case.outsiders, 'party', 'parties')} elsewhere, {_counted(case.devices, 'device')},"
        f" {_counted(case.addresses, 'address', 'addresses')}{shop}",
    ]
    lines += [f"   - {_step(step)}: {table.step_kinds[step.kind].meaning}" for step in case.steps]
    return "\n".join(lines) + "\n"


def _step(step: CaseStep) -> str:
    amount = f"{step.low:g}" if step.low == step.high else f"{step.low:g} to {step.high:g}"
    return (
        f"after {_minutes(step.wait_minutes)}, within {_minutes(step.span_minutes)}: {step.count} ×"
        f" {step.kind.replace('_', ' ')} on {step.channel.replace('_', ' ')}, {amount} {BASIS_WORDS[step.basis]}"
    )


def _counted(number: int, word: str, words: str = "") -> str:
    return f"{number or 'no'} {word if number == 1 else words or word + 's'}"


def _minutes(minutes: int) -> str:
    if minutes < 120:
        return f"{minutes} min"
    return f"{minutes / 60:.0f} h" if minutes < 2880 else f"{minutes / 1440:.0f} days"
