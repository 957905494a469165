"""`mangaassist diagnose`: why an answer, or a population of them, was bad."""

from __future__ import annotations

import asyncio
import json
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated

import typer

from mangaassist.domain.errors import InvalidRequestError

if TYPE_CHECKING:
    from mangaassist.control.monitoring.diagnosis import Diagnosis
    from mangaassist.control.monitoring.population import PopulationDiagnosis

SHOWN = 8
MOMENTS = ["%Y-%m-%d", "%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S"]


def register(parent: typer.Typer) -> None:
    """Add the command."""
    parent.command()(diagnose)


def diagnose(
    identifier: Annotated[
        str | None, typer.Argument(metavar="[ID]", help="A response, trace, session or feedback id.")
    ] = None,
    population: Annotated[
        bool, typer.Option("--population", help="Compare all answers of two times instead.")
    ] = False,
    intent: Annotated[str | None, typer.Option(help="Only answers of this intent.")] = None,
    since: Annotated[
        datetime | None, typer.Option(formats=MOMENTS, help="UTC; when it became worse. Default: a day ago.")
    ] = None,
    until: Annotated[datetime | None, typer.Option(formats=MOMENTS, help="UTC; default: now.")] = None,
    before_days: Annotated[
        float, typer.Option(min=0.01, help="Length of the time before `since` to compare with, in days.")
    ] = 7.0,
    slow: Annotated[bool, typer.Option(help="Ask why answers are slower, not why they are worse.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the diagnosis as JSON.")] = False,
) -> None:
    """Name the layer that is likely to blame, with the evidence.

    Examples:

    mangaassist diagnose resp_01jabc...

    mangaassist diagnose --population --intent promotion --since 2026-11-20
    """
    from mangaassist.bootstrap.clock import SystemClock
    from mangaassist.bootstrap.root_cause import diagnose_answer, diagnose_times
    from mangaassist.bootstrap.settings import load_settings

    if (identifier is None) is not population:
        raise InvalidRequestError("name an answer by an id, or ask for --population")
    settings = load_settings()
    if identifier is not None:
        found = asyncio.run(diagnose_answer(settings, identifier))
        _show_answer(found, as_json=as_json)
        return
    end = until.replace(tzinfo=UTC) if until else SystemClock().now()
    start = since.replace(tzinfo=UTC) if since else end - timedelta(days=1)
    changed = asyncio.run(
        diagnose_times(
            settings,
            before=(start - timedelta(days=before_days), start),
            now=(start, end),
            intent=intent,
            slow=slow,
        )
    )
    _show_population(changed, as_json=as_json)


def _show_answer(found: Diagnosis, *, as_json: bool) -> None:
    if as_json:
        print(json.dumps({"layer": found.layer, **asdict(found)}, ensure_ascii=False, indent=2))
        return
    print(f"{found.response_id}: {', '.join(found.complaints)}")
    if not found.findings:
        print("nothing in its evidence stands out")
    for finding in found.findings:
        print(f"  {finding.layer:18}{finding.weight:.2f}  " + "\n".join(_indented(finding.evidence)))


def _show_population(changed: PopulationDiagnosis, *, as_json: bool) -> None:
    if as_json:
        print(json.dumps({"layer": changed.layer, **asdict(changed)}, ensure_ascii=False, indent=2))
        return
    print(
        f"bad answers: {changed.bad_before} of {changed.answers_before} before, "
        f"{changed.bad_now} of {changed.answers_now} now"
    )
    if not changed.factors:
        print("no rise that chance would not explain, or nothing that the bad answers share")
    for factor in changed.factors[:SHOWN]:
        rest = "" if factor.rest_rate is None else f", {factor.rest_rate:.1%} without it"
        print(
            f"  {factor.layer:18}{factor.weight:.2f}  {factor.name} {factor.value}: bad in {factor.rate:.1%}"
            f" of "
            f"{factor.answers}{rest}; explains {factor.explained:.0%}\n"
            + "\n".join(_indented(factor.evidence, 26))
        )


def _indented(lines: tuple[str, ...], by: int = 0) -> list[str]:
    return [(" " * (by or 26 * bool(number))) + line for number, line in enumerate(lines)]
