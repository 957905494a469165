"""What the composer says to the questions of `cases.py`; read the texts in `expected/`."""

from __future__ import annotations

from tests.golden.composer.answers import EXPECTED, answers


def test_every_answer_is_the_one_that_was_reviewed() -> None:
    expected = {path.stem: path.read_text(encoding="utf-8") for path in EXPECTED.glob("*.txt")}

    assert answers() == expected, "run `python -m tests.golden.composer.update` and review the difference"
