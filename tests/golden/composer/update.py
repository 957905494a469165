"""Writes the expected answers anew: `python -m tests.golden.composer.update`; review the difference."""

from __future__ import annotations

from tests.golden.composer.answers import EXPECTED, answers


def main() -> None:
    EXPECTED.mkdir(exist_ok=True)
    current = answers()
    for path in EXPECTED.glob("*.txt"):
        if path.stem not in current:
            path.unlink()
    for name, text in current.items():
        (EXPECTED / f"{name}.txt").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
