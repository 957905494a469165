"""Every port has its contract, every setting its line, and the server process stays light."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest

from mangaassist.bootstrap.settings import Settings

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "src" / "mangaassist"
NEVER_IN_THE_SERVER = ("mlflow", "pandas", "sklearn", "scipy", "torch", "boto3", "aiobotocore", "matplotlib")


def protocols(path: Path) -> list[str]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return [
        node.name
        for node in ast.walk(tree)
        if isinstance(node, ast.ClassDef)
        and any(isinstance(base, ast.Name) and base.id == "Protocol" for base in node.bases)
    ]


def test_every_setting_is_documented() -> None:
    text = (ROOT / "docs" / "reference" / "settings.md").read_text(encoding="utf-8")
    missing = [name for name in Settings.model_fields if f"`MANGAASSIST_{name.upper()}`" not in text]
    assert missing == []


def test_the_server_process_imports_nothing_of_the_control_plane() -> None:
    program = (
        "import json, sys, mangaassist.web.main; "
        f"print(json.dumps([name for name in {NEVER_IN_THE_SERVER!r} if name in sys.modules]))"
    )
    command = [sys.executable, "-c", program]
    output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert json.loads(output) == []


def test_every_module_says_what_it_is_for() -> None:
    silent = [
        str(path.relative_to(ROOT))
        for path in PACKAGE.rglob("*.py")
        if ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) is None
    ]
    assert silent == []


@pytest.mark.parametrize("name", ["LICENSE", "NOTICE", "README.md", "CHANGELOG.md", "CONTRIBUTING.md"])
def test_the_repository_has_its_papers(name: str) -> None:
    assert (ROOT / name).stat().st_size > 100


def test_the_readme_is_short() -> None:
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) <= 150


def test_decisions_are_numbered_once_each() -> None:
    numbers = [path.name[:4] for path in (ROOT / "docs" / "decisions").glob("*.md")]
    assert len(numbers) == len(set(numbers))
    assert all(number.isdigit() for number in numbers)
