"""The plan of experiments in one YAML file, which running servers watch."""

from __future__ import annotations

import fcntl
import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import yaml

from mangaassist.domain.errors import ConfigurationError, ConflictError
from mangaassist.ports.experiments import PlanDocument

_HEADER = "# Written by `mangaassist experiment`; a running server takes changes up within a second.\n"


class FileExperimentPlanStore:
    """An `ExperimentPlanStore` in a file; writers of one machine take turns, readers never wait."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def read(self) -> PlanDocument:
        """Return the stored plan; raises `ConfigurationError` for a file that is not a mapping."""
        try:
            raw = self._path.read_bytes()
        except FileNotFoundError:
            raw = b""
        try:
            content = yaml.safe_load(raw) or {}
        except yaml.YAMLError as error:
            raise ConfigurationError(f"{self._path.name} cannot be read: {error}") from error
        if not isinstance(content, dict):
            raise ConfigurationError(f"{self._path.name} must hold a mapping, not a {type(content).__name__}")
        return PlanDocument(content=content, version=hashlib.sha256(raw).hexdigest()[:12])

    def replace(self, content: dict[str, object], *, expected_version: str) -> PlanDocument:
        """Store a new plan in one step; raises `ConflictError` when someone was first."""
        with self._locked():
            stored = self.read().version
            if stored != expected_version:
                raise ConflictError(
                    f"the experiments have changed meanwhile (version {stored!r}, expected "
                    f"{expected_version!r}); try again"
                )
            temporary = self._path.with_suffix(".tmp")
            temporary.write_text(
                _HEADER
                + yaml.safe_dump(
                    content, sort_keys=False, allow_unicode=True, default_flow_style=None, width=100
                ),
                encoding="utf-8",
            )
            temporary.replace(self._path)
            return self.read()

    @contextmanager
    def _locked(self) -> Iterator[None]:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with self._path.with_suffix(".lock").open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield
