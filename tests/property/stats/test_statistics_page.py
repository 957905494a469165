"""The examples of the statistics page run and hold."""

from __future__ import annotations

import importlib
import re
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[3] / "docs" / "statistics.md"
EXAMPLES = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), flags=re.DOTALL)


@pytest.mark.parametrize("example", EXAMPLES, ids=[f"example-{at}" for at in range(1, len(EXAMPLES) + 1)])
def test_every_example_of_the_page_holds(example: str) -> None:
    exec(compile(example, str(PAGE), "exec"), {})


def test_every_function_named_on_the_page_exists() -> None:

    named = re.findall(r"`(\w+)\.(\w+)`", PAGE.read_text(encoding="utf-8"))
    package = Path(__file__).parents[3] / "src" / "mangaassist" / "stats"
    missing = [
        f"{module}.{name}"
        for module, name in named
        if (package / f"{module}.py").exists()
        and not hasattr(importlib.import_module(f"mangaassist.stats.{module}"), name)
    ]
    assert missing == []
