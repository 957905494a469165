"""Fetches the encoder and completes the index beside a running chat, telling its progress in lines."""

from __future__ import annotations

import sys
from collections.abc import Callable

from mangaassist.bootstrap.encoder import FetchProgress, fetch_encoder
from mangaassist.bootstrap.knowledge import complete_index
from mangaassist.bootstrap.settings import Settings, find_store_dir, load_settings
from mangaassist.domain.errors import DependencyError

STEPS = 4


class ProgressLines:
    """Turns a stream of progress reports into a few lines."""

    def __init__(self, write: Callable[[str], None]) -> None:
        self._write = write
        self._last: tuple[str, str | None, int] | None = None

    def report(self, progress: FetchProgress) -> None:
        """Write a line at every new phase and at every quarter of it."""
        step = progress.done_bytes * STEPS // progress.total_bytes if progress.total_bytes else 0
        key = (progress.phase, progress.source, step)
        if key == self._last:
            return
        self._last = key
        source = f" ({progress.source})" if progress.source else ""
        percent = f", {100 * step // STEPS} %" if progress.total_bytes else ""
        self._write(f"{progress.phase}{source}{percent}")


def prepare(settings: Settings, write: Callable[[str], None]) -> bool:
    """Fetch the encoder and add its vectors to the index; `write` gets what happens.

    Returns whether both are there now. A running server takes them up by itself.
    """
    if settings.encoder == "auto" and not _fetch(settings, write):
        return False
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    write("indexing")
    report = complete_index(settings, find_store_dir(settings))
    write(f"ready: {report.chunk_count} chunks, vectors of {report.embedding_version}")
    return True


def _fetch(settings: Settings, write: Callable[[str], None]) -> bool:
    try:
        result = fetch_encoder(
            settings.cache_dir, path=settings.encoder_path, report=ProgressLines(write).report
        )
    except DependencyError as error:
        write(f"not fetched: {error}. Search stays lexical; try `mangaassist models fetch`")
        return False
    write(f"encoder {result.files.version}")
    return True


if __name__ == "__main__":
    sys.exit(0 if prepare(load_settings(), lambda line: print(line, flush=True)) else 1)  # noqa: T201 - a process talks by printing
