"""Write the installed versions into `[tool.uv] constraint-dependencies` of pyproject.toml."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

PYPROJECT = Path(__file__).parents[1] / "pyproject.toml"
BLOCK = re.compile(r"\n\[tool\.uv\]\nconstraint-dependencies = \[\n.*?\n\]\n", re.DOTALL)


def main() -> None:
    """Freeze the environment and replace the block."""
    frozen = subprocess.run(["uv", "pip", "freeze"], check=True, capture_output=True, text=True).stdout
    pinned = re.compile(r"[A-Za-z0-9._-]+==[A-Za-z0-9._+!-]+")
    pins = sorted(line for line in frozen.splitlines() if pinned.fullmatch(line))
    lines = "\n".join(f'    "{pin}",' for pin in pins)
    text = BLOCK.sub("", PYPROJECT.read_text(encoding="utf-8"))
    PYPROJECT.write_text(f"{text}\n[tool.uv]\nconstraint-dependencies = [\n{lines}\n]\n", encoding="utf-8")
    print(f"{len(pins)} versions pinned")


if __name__ == "__main__":
    main()
