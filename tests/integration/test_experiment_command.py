"""`mangaassist experiment`: the whole life of an experiment from the command line, and any file analysed."""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path
from random import Random
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from mangaassist.cli.main import typer_app
from mangaassist.domain.errors import ConflictError, InvalidRequestError, MangaAssistError, NotFoundError


@pytest.fixture(autouse=True)
def _own_installation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MANGAASSIST_DATA_DIR", str(tmp_path / "var"))


def run(*arguments: str) -> dict[str, Any]:
    """Return the JSON a command prints; its error is raised."""
    result = CliRunner().invoke(typer_app, ["experiment", *arguments, "--json"])
    if result.exception is not None:
        raise result.exception
    document: dict[str, Any] = json.loads(result.stdout)
    return document


def create(*more: str) -> dict[str, Any]:
    return run(
        "create", "shorter", "--set", "treatment:models.main.max_tokens=200", "--primary", "thumbs_up_rate",
        "--guardrail", "latency_ms:10%", "--guardrail", "guardrail_score:grounding_check", *more,
    )  # fmt: skip


def observations(path: Path, *, better: float = 0.0, units: int = 2_000) -> Path:
    random = Random(1)
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["unit", "arm", "intent", "at", "liked", "errors", "seconds"])
        for unit in range(units):
            treated = unit % 2
            for turn in range(2):
                writer.writerow(
                    [
                        unit,
                        ("control", "treatment")[treated],
                        ("faq", "promotion")[turn],
                        f"2026-11-{1 + unit * 20 // units:02} 10:00:00",
                        int(random.random() < 0.6 + better * treated),
                        int(random.random() < 0.02),
                        round(random.lognormvariate(0, 0.5), 4),
                    ]
                )
    return path


def test_an_experiment_lives_from_draft_to_stop(tmp_path: Path) -> None:
    draft = create("--weights", "control=90,treatment=10", "--coverage", "0.5")
    assert (draft["status"], draft["phase"], draft["eligible_ratio"]) == ("draft", 0, 0.5)
    assert draft["plan"]["metrics"][1] == {
        "role": "guardrail",
        "name": "latency_ms",
        "better": "lower",
        "margin": 0.1,
        "relative_margin": True,
    }

    assert run("start", "shorter")["status"] == "running"
    assert run("ramp", "shorter", "--coverage", "1")["phase"] == 1
    ramped = run("ramp", "shorter", "--weights", "control=50,treatment=50")
    assert (ramped["phase"], ramped["moved_buckets"]) == (2, 4_000)

    (status,) = run("status")["experiments"]
    assert (status["units"], status["sample_ratio_p"]) == ([], 1.0)
    with pytest.raises(ConflictError, match="not met any unit"):
        run("analyze", "shorter")

    assert run("stop", "shorter", "--outcome", "kept control")["plan"]["outcome"] == "kept control"
    stored = yaml.safe_load((tmp_path / "var" / "experiments.yaml").read_text())
    assert stored["experiments"]["shorter"]["status"] == "stopped"


@pytest.mark.parametrize(
    ("arguments", "error", "says"),
    [
        (["start", "unknown"], NotFoundError, "known: none"),
        (["create", "x", "--primary", "charm", "--set", "t:prompts.faq=1.0"], InvalidRequestError, "charm"),
        (["create", "x", "--primary", "cost_usd"], InvalidRequestError, "--set or --bundle"),
        (
            ["create", "x", "--primary", "cost_usd", "--set", "nonsense"],
            InvalidRequestError,
            "ARM:PATH=VALUE",
        ),
        (["create", "x", "--primary", "cost_usd", "--bundle", "t=b-1"], MangaAssistError, "'b-1'"),
        (["ramp", "x"], InvalidRequestError, "--coverage, --weights"),
        (["analyze"], InvalidRequestError, "--observations"),
        (["analyze", "--observations", "missing.csv"], InvalidRequestError, "missing.csv"),
    ],
)
def test_a_mistake_says_what_to_do(arguments: list[str], error: type[Exception], says: str) -> None:
    with pytest.raises(error, match=re.escape(says)):
        run(*arguments)


def test_a_file_without_further_words_is_analysed_with_its_first_metric(tmp_path: Path) -> None:
    found = run("analyze", "--observations", str(observations(tmp_path / "mine.csv", better=0.15)))

    assert (found["experiment"], found["decision"], found["arm"]) == ("mine", "PROMOTE", "treatment")
    metrics = found["arms"]["treatment"]["metrics"]
    assert {name: one["role"] for name, one in metrics.items()} == {
        "liked": "primary",
        "errors": "secondary",
        "seconds": "secondary",
    }
    assert metrics["liked"]["kind"] == "binary"
    assert found["sample_ratio"]["units"] == {"control": 1_000, "treatment": 1_000}


def test_a_file_is_analysed_as_asked(tmp_path: Path) -> None:
    found = run(
        "analyze", "--observations", str(observations(tmp_path / "mine.csv")), "--primary", "liked:0.02",
        "--guardrail", "errors:0.01", "--lower", "errors",
        "--guardrail", "seconds:0.02", "--lower", "seconds",
        "--quantile", "seconds:0.9", "--planned-units", "2000",
    )  # fmt: skip

    assert found["decision"] == "REVIEW"
    metrics = found["arms"]["treatment"]["metrics"]
    assert (metrics["seconds"]["kind"], metrics["seconds"]["better"]) == ("quantile", "lower")
    assert metrics["seconds"]["control"] == pytest.approx(0.1, abs=0.001)
    assert [one["quantile"] for one in found["quantiles"]] == [0.9, 0.9]


def test_assigned_shares_tell_a_broken_split(tmp_path: Path) -> None:
    found = run(
        "analyze", "--observations", str(observations(tmp_path / "mine.csv", better=0.15)),
        "--weights", "control=60,treatment=40",
    )  # fmt: skip

    assert (found["decision"], found["sample_ratio"]["ok"]) == ("INVALID", False)


def test_a_report_has_its_pictures_inside(tmp_path: Path) -> None:
    path = observations(tmp_path / "mine.csv", better=0.15)

    run("analyze", "--observations", str(path), "--report", str(tmp_path / "report"))

    text = (tmp_path / "report" / "report.md").read_text()
    page = (tmp_path / "report" / "report.html").read_text()
    assert "## PROMOTE (treatment)" in text
    assert page.count("<svg") == 3  # arm sizes, interval over time, posterior
    assert "http://" not in re.sub(r'(xmlns(:\w+)?|rdf:resource)="[^"]*"|<!DOCTYPE[^>]*>', "", page)
