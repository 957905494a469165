"""Another process that imports: `python -m tests.support.import_process FILE DATA_DIR CACHE_DIR`."""

from __future__ import annotations

import sys
from pathlib import Path

from mangaassist.bootstrap.settings import load_settings
from mangaassist.bootstrap.store_import import import_catalog


class Quiet:
    """Nobody watches."""

    def start(self, phase: str, total: int) -> None:
        """Say when the import begins to write."""
        print(phase, flush=True)

    def advance(self, steps: int) -> None:
        """Nothing to show."""


def main() -> None:
    file, data_dir, cache_dir = (Path(argument) for argument in sys.argv[1:])
    settings = load_settings(data_dir=data_dir, cache_dir=cache_dir)
    import_catalog(file, settings=settings, progress=Quiet())


if __name__ == "__main__":
    main()
