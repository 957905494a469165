"""Where rulesets are found: the operator's folder, the pack's, and the exact versions that bundles keep."""

from __future__ import annotations

from pathlib import Path

import orjson

from mangaassist.bootstrap.guardrails import load_ruleset
from mangaassist.domain.errors import ConfigurationError
from mangaassist.serving.guardrails.ruleset import Ruleset, parse_ruleset


class RulesetFolders:
    """Finds a ruleset by file name, operator's first, or by the exact version that a bundle was made with."""

    def __init__(self, *, own: Path, pack: Path, kept: Path) -> None:
        self._own = own
        self._pack = pack
        self._kept = kept

    def find(self, name: str) -> Ruleset:
        """Return a ruleset; raises `ConfigurationError` for a bad one, and naming those there are."""
        kept = self._kept / f"{name}.json"
        if "/" not in name and kept.is_file():
            return _read_kept(kept)
        for folder in (self._own, self._pack):
            path = folder / f"{name}.yaml"
            if "/" not in name and path.is_file():
                return load_ruleset(path)
        raise ConfigurationError(
            f"no guardrail ruleset {name!r}; there are {', '.join(self.names()) or 'none'}"
        )

    def names(self) -> list[str]:
        """Return the names that can be asked for."""
        written = {path.stem for folder in (self._own, self._pack) for path in folder.glob("*.yaml")}
        return sorted(written | {path.stem for path in self._kept.glob("*.json")})

    def keep(self, ruleset: Ruleset) -> None:
        """Remember this very version, so that a bundle made with it can be served again."""
        self._kept.mkdir(parents=True, exist_ok=True)
        path = self._kept / f"{ruleset.version}.json"
        if not path.is_file():
            temporary = path.with_suffix(".tmp")
            temporary.write_bytes(orjson.dumps(ruleset.model_dump(mode="json"), option=orjson.OPT_INDENT_2))
            temporary.replace(path)


def _read_kept(path: Path) -> Ruleset:
    try:
        content = orjson.loads(path.read_bytes())
    except (OSError, orjson.JSONDecodeError) as error:
        raise ConfigurationError(f"{path.name} cannot be read: {error}") from error
    if not isinstance(content, dict):
        raise ConfigurationError(f"{path.name} must hold an object")
    return parse_ruleset(content)
