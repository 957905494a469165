"""`mangaassist store validate` as its user sees it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from mangaassist.bootstrap.store_validation import validate_store
from mangaassist.cli.store import app
from mangaassist.domain.errors import ConfigurationError
from tests.support.store_packs import PACK, product_row, write_pack


def test_the_shipped_pack_is_valid_with_everything_around_it() -> None:
    ran = CliRunner().invoke(app, ["validate", str(PACK), "--json"])
    report = json.loads(ran.stdout)
    assert [problem for problem in report["problems"] if problem["severity"] == "error"] == []
    assert ran.exit_code == 0
    assert report["valid"] is True
    assert report["counts"]["series"] >= report["targets"]["series"]


def test_a_faulty_pack_ends_with_exit_code_one_and_names_the_place(tmp_path: Path) -> None:
    folder = write_pack(tmp_path, products=[product_row(price_usd="cheap")])
    ran = CliRunner().invoke(app, ["validate", str(folder)])
    assert ran.exit_code == 1
    assert "products.jsonl:1:price_usd: expected US dollars" in ran.stdout
    assert "not valid" in ran.stdout


def test_missing_prompts_templates_routes_and_guardrails_are_each_reported(tmp_path: Path) -> None:
    problems = validate_store(write_pack(tmp_path)).problems
    errors = {problem.path for problem in problems if problem.severity == "error"}
    assert errors == {"prompts", "templates", "config.yaml", "guardrails/ruleset.yaml"}


def test_a_route_to_a_template_that_is_not_there_is_reported(tmp_path: Path) -> None:
    folder = write_pack(tmp_path)
    (folder / "config.yaml").write_bytes((PACK / "config.yaml").read_bytes())
    fields = {problem.field for problem in validate_store(folder).problems if problem.path == "config.yaml"}
    assert {"routes.chitchat.template", "prompts.faq"} <= fields


def test_a_path_that_is_no_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="is not a folder"):
        validate_store(tmp_path / "absent")
