"""Runtime configuration from watched YAML files: the pack's defaults, overridden by the operator's file."""

from __future__ import annotations

import asyncio
import hashlib
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import orjson
import yaml

from mangaassist.domain.errors import ConfigurationError
from mangaassist.ports.configuration import ConfigurationDocument

POLL_INTERVAL_S = 0.25


class WatchedFileConfiguration:
    """`defaults`, if any, deep-merged with `override` (which may be absent), watched by time and size.

    The YAML files of the folders `beside` are watched too: when one changes, the listeners are called with
    the document as it is. The last good override is kept beside it as `<name>.last-good`, so that a restart
    with a broken file starts with what worked.
    """

    def __init__(self, *, defaults: Path | None, override: Path, beside: Sequence[Path] = ()) -> None:
        self._defaults = defaults
        self._override = override
        self._beside = tuple(beside)
        self._last_good = override.with_name(override.name + ".last-good")
        self._listeners: list[Callable[[ConfigurationDocument], None]] = []
        self._seen, self._seen_beside = self._stamps(), self._stamps_beside()
        self._document = self._initial()

    def current(self) -> ConfigurationDocument:
        """Return the last good document."""
        return self._document

    def subscribe(self, listener: Callable[[ConfigurationDocument], None]) -> None:
        """Call `listener` after every change; one that raises `ConfigurationError` refuses the change."""
        self._listeners.append(listener)

    async def run(self) -> None:
        """Poll until cancelled."""
        while True:
            await asyncio.sleep(POLL_INTERVAL_S)
            self.poll()

    def poll(self) -> None:
        """Take up a change now, if there is one; a broken one only sets `problem`."""
        stamps, beside = self._stamps(), self._stamps_beside()
        changed_beside = beside != self._seen_beside
        if stamps == self._seen and not changed_beside:
            return
        self._seen, self._seen_beside = stamps, beside
        try:
            document = self._read()
            if changed_beside or document.version != self._document.version:
                for listener in self._listeners:
                    listener(document)
                self._keep_last_good()
            self._document = document
        except ConfigurationError as error:
            self._document = ConfigurationDocument(
                content=self._document.content, version=self._document.version, problem=str(error)
            )

    def refuse(self, problem: str) -> None:
        """Mark the start-up document as bad and go back to the last good one, else to the defaults."""
        content = self._merge(self._load(self._last_good)) if self._last_good.is_file() else self._shipped()
        self._document = ConfigurationDocument(content=content, version=_version(content), problem=problem)

    def confirm(self) -> None:
        """Remember the start-up document as good."""
        if self._document.problem is None:
            self._keep_last_good()

    def _initial(self) -> ConfigurationDocument:
        try:
            return self._read()
        except ConfigurationError as error:
            self.refuse(str(error))
            return self._document

    def _read(self) -> ConfigurationDocument:
        content = self._merge(self._load(self._override) if self._override.is_file() else {})
        return ConfigurationDocument(content=content, version=_version(content))

    def _merge(self, override: dict[str, object]) -> dict[str, object]:
        return deep_merge(self._shipped(), override)

    def _shipped(self) -> dict[str, object]:
        return {} if self._defaults is None else self._load(self._defaults)

    def _keep_last_good(self) -> None:
        if not self._override.is_file():
            return
        temporary = self._last_good.with_suffix(".tmp")
        temporary.write_bytes(self._override.read_bytes())
        temporary.replace(self._last_good)

    def _stamps(self) -> tuple[tuple[int, int, int] | None, ...]:
        return tuple(_stamp(path) for path in (self._defaults, self._override) if path is not None)

    def _stamps_beside(self) -> tuple[tuple[Path, tuple[int, int, int] | None], ...]:
        paths = sorted(path for folder in self._beside for path in folder.glob("*.yaml"))
        return tuple((path, _stamp(path)) for path in paths)

    @staticmethod
    def _load(path: Path) -> dict[str, object]:
        try:
            content = yaml.safe_load(path.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
            raise ConfigurationError(f"{path.name} cannot be read: {error}") from error
        if content is None:
            return {}
        if not isinstance(content, dict):
            raise ConfigurationError(f"{path.name} must hold a mapping, not a {type(content).__name__}")
        return content


def _stamp(path: Path) -> tuple[int, int, int] | None:
    try:
        status = os.stat(path)
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size, status.st_ino


def deep_merge(base: Mapping[str, object], override: Mapping[str, object]) -> dict[str, object]:
    """Return `base` with the values of `override`, mappings merged member by member."""
    merged = dict(base)
    for key, value in override.items():
        known = merged.get(key)
        merged[key] = (
            deep_merge(known, value) if isinstance(known, dict) and isinstance(value, dict) else value
        )
    return merged


def _version(content: dict[str, object]) -> str:
    try:
        canonical = orjson.dumps(content, option=orjson.OPT_SORT_KEYS)
    except TypeError as error:
        raise ConfigurationError(
            f"the configuration holds a value that is not plain data: {error}"
        ) from error
    return hashlib.sha256(canonical).hexdigest()[:12]
