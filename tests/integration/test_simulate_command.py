"""`mangaassist simulate`: every option has a default, the same seed gives the same figures."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from mangaassist.cli.main import typer_app
from mangaassist.cli.simulate import parse_traffic
from mangaassist.control.simulation.scenario import Baseline, Effect, parse_baseline, parse_effect
from mangaassist.domain.errors import ConfigurationError, InvalidRequestError

KEYS = ("false_rollback_rate", "detection_rate", "median_requests_to_detect", "p90_requests_to_detect")


def simulated(*arguments: str) -> dict[str, Any]:
    result = CliRunner().invoke(typer_app, ["simulate", *arguments, "--json"], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    document: dict[str, Any] = json.loads(result.stdout)
    return document


@pytest.mark.parametrize("kind", ["rollout", "experiment", "gate", "drift"])
def test_each_kind_prints_error_rates_of_the_policy_and_of_the_sources(kind: str, tmp_path: Path) -> None:
    plot = tmp_path / "plot.png"
    processes = ["--processes", "1"] if kind == "rollout" else []
    document = simulated(kind, "--replicates", "25", "--plot", str(plot), *processes)
    for report in (document, *document["compared"]):
        assert all(key in report for key in KEYS)
        low, high = report["false_rollback_interval_95"]
        assert low <= report["false_rollback_rate"] <= high
    assert document["detection_rate"] >= 0.9
    assert plot.read_bytes().startswith(b"\x89PNG")


def test_the_same_seed_gives_the_same_figures_on_any_number_of_processes() -> None:
    options = ("rollout", "--replicates", "20", "--effect", "-0.1", "--seed", "7", "--processes")
    assert simulated(*options, "1") == simulated(*options, "2")


def test_the_rule_of_the_source_turns_down_most_healthy_canaries_of_a_busy_shop() -> None:
    document = simulated("rollout", "--replicates", "20", "--baseline", "0.70", "--processes", "1")
    assert document["compared"][0]["false_rollback_rate"] > 0.8
    assert document["false_rollback_rate"] <= 0.1


def test_a_table_for_people_without_json() -> None:
    result = CliRunner().invoke(typer_app, ["simulate", "gate", "--replicates", "40"])
    assert result.exit_code == 0
    assert "non-inferi" in result.stdout


@pytest.mark.parametrize(
    ("text", "per_day"), [("5000/day", 5e3), ("20k", 2e4), ("1M/day", 1e6), ("1.5k/h", 36e3), ("700", 700.0)]
)
def test_traffic_is_read_as_people_write_it(text: str, per_day: float) -> None:
    assert parse_traffic(text) == per_day


@pytest.mark.parametrize("text", ["", "many/day", "0", "-5", "1..2k"])
def test_other_traffic_is_refused(text: str) -> None:
    with pytest.raises(InvalidRequestError, match="--traffic"):
        parse_traffic(text)


def test_effects_and_baselines_are_read_as_people_write_them() -> None:
    assert parse_effect("none").healthy
    assert parse_effect("-0.05") == Effect(quality=-0.05)
    assert parse_effect("quality=-5%,latency=x2,cost=+25%,slow=0.12x3.2,errors=+0.02") == Effect(
        quality=-0.05, latency=2.0, cost=1.25, slow=0.12, slow_ratio=3.2, errors=0.02
    )
    assert parse_baseline("0.9", default=Baseline()).quality == 0.9
    assert parse_baseline("errors=0.02,p95_ms=1800", default=Baseline()).p95_ms == 1_800.0
    for wrong in ("kindness=1", "latency=xx", "quality"):
        with pytest.raises(InvalidRequestError):
            parse_effect(wrong)


def test_a_policy_with_an_unknown_field_is_refused_by_name(tmp_path: Path) -> None:
    policy = tmp_path / "policy.yaml"
    policy.write_text("margin: 0.03\nmargn: 0.03\n", encoding="utf-8")
    with pytest.raises(ConfigurationError, match="margn"):
        CliRunner().invoke(typer_app, ["simulate", "gate", "--policy", str(policy)], catch_exceptions=False)
    policy.write_text("margin: 0.03\n", encoding="utf-8")
    assert simulated("gate", "--policy", str(policy), "--replicates", "40")["cases"] < 1_349
