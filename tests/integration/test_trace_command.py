from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
import typer
from rich.console import Console
from typer.testing import CliRunner

from mangaassist.bootstrap.settings import load_settings
from mangaassist.cli import doctor, trace
from mangaassist.cli.lineage import show_story
from mangaassist.control.lineage.story import Story
from mangaassist.domain.errors import NotFoundError
from mangaassist.domain.trace import Trace
from tests.support.spools import fill
from tests.support.traces import TraceMaker, with_span


@pytest.fixture
def stored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Trace:
    monkeypatch.setenv("MANGAASSIST_DATA_DIR", str(tmp_path))
    (only,) = fill(load_settings().spool_dir, TraceMaker(), 1)
    return only


@pytest.mark.parametrize("by", ["trace_id", "response_id"])
def test_trace_show_prints_the_waterfall_by_either_id(stored: Trace, by: str) -> None:
    shown = CliRunner().invoke(trace.app, [getattr(stored, by)], env={"COLUMNS": "200"})
    assert shown.exit_code == 0, shown.output
    lines = shown.output.splitlines()
    for span in stored.spans:
        assert any(line.strip().startswith(span.name) for line in lines), span.name
    for piece in (stored.request_preview, "release_bundle=mangaassist-1", "faq_1  Shipping", "verdict=allow"):
        assert piece in shown.output
    assert "input_tokens=600" in shown.output
    assert stored.trace_id in shown.output


def test_trace_show_as_json_holds_everything(stored: Trace) -> None:
    shown = CliRunner().invoke(trace.app, [stored.trace_id, "--json"])
    document = json.loads(shown.output)
    assert [span["name"] for span in document["spans"]] == [span.name for span in stored.spans]
    assert document["tags"] == stored.tags
    assert document["artifacts"]["chunk_snapshot.json"]["chunk_ids"] == ["faq_1"]
    assert document["mlflow_url"] is None


def test_an_unknown_trace_is_an_error_that_says_so(stored: Trace) -> None:
    shown = CliRunner().invoke(trace.app, ["f" * 32])
    assert isinstance(shown.exception, NotFoundError)
    assert "no trace" in str(shown.exception)


def test_children_stand_below_their_parents_and_failures_are_named() -> None:
    failed = with_span(
        TraceMaker().answered(), "bedrock_generate", status="error", error="DependencyTimeoutError"
    )
    output = io.StringIO()
    show_story(Story(trace=failed), link="http://mlflow.test/#/x", console=Console(file=output, width=200))
    lines = output.getvalue().splitlines()
    order = [line.split()[0] for line in lines if line.startswith("  ")]
    assert order.index("retrieve_chunks") + 1 == order.index("embed_query")
    assert next(line for line in lines if "embed_query" in line).startswith("    embed_query")
    assert "error=DependencyTimeoutError" in output.getvalue()
    assert "http://mlflow.test/#/x" in output.getvalue()


def test_doctor_says_what_is_behind_every_port_and_what_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MANGAASSIST_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("MANGAASSIST_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("MANGAASSIST_MLFLOW_PORT", "1")
    examined = CliRunner().invoke(doctor_app(), ["--json"])
    assert examined.exit_code == 0, examined.output
    document = json.loads(examined.output)
    components = {component["port"]: component for component in document["components"]}
    assert components["database"]["state"] == "ready"
    assert components["encoder"]["state"] == "off"
    assert "search by meaning" in components["encoder"]["unlocks"]
    assert components["MLflow"]["state"] == components["worker"]["state"] == "off"


def test_doctor_fails_when_a_configured_component_does_not_work_and_masks_secrets(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {
        "DATA_DIR": str(tmp_path),
        "ENCODER": "off",
        "MLFLOW_URL": "http://someone:hunter2@127.0.0.1:1",
        "SESSION_SECRET": "correct-horse-battery-staple-and-more",
    }.items():
        monkeypatch.setenv(f"MANGAASSIST_{name}", value)
    for arguments in (["--json"], []):
        examined = CliRunner().invoke(doctor_app(), arguments, env={"COLUMNS": "200"})
        assert examined.exit_code == 1
        assert "no answer at http://127.0.0.1:1" in examined.output
        assert "hunter2" not in examined.output
        assert "correct-horse" not in examined.output


def doctor_app() -> typer.Typer:
    app = typer.Typer()
    doctor.register(app)
    return app
