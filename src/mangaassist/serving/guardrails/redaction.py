"""Redaction before a value enters a span, a log line, a queue or a disk: one implementation for all."""

from __future__ import annotations

import hmac

from mangaassist.domain.guardrails import FlaggedSpan
from mangaassist.domain.personal_data import Purpose, RedactionPolicy
from mangaassist.serving.guardrails.personal_data.finder import PersonalDataFinder
from mangaassist.serving.guardrails.splicing import splice

FAILED = "[redaction failed]"
DROPPED = "[dropped]"
_PASSES = 4
_REMEMBERED_TEXTS = 8
_PSEUDONYM_CHARS = 10
_LETTERS = "abcdefghijklmnop"


class Redactor:
    """Replaces personal data by purpose, and fails closed: what raises loses the text, not the secret.

    With a `key`, pseudonyms are stable: the same value of the same kind becomes the same letters
    everywhere, and without the key nobody can compute them (HMAC-SHA-256). Without one they are labels.
    Redacting what is already redacted changes nothing.
    """

    def __init__(
        self,
        *,
        finder: PersonalDataFinder | None = None,
        key: bytes | None = None,
        policy: RedactionPolicy | None = None,
    ) -> None:
        self.finder = finder or PersonalDataFinder()
        self.policy = policy or RedactionPolicy()
        self._key = key
        self._found: dict[str, list[FlaggedSpan]] = {}

    def redact(self, text: str, purpose: Purpose = "trace", *, field: str | None = None) -> str:
        """Return what may be kept of a text for a purpose; `FAILED` when anything goes wrong."""
        try:
            if field is not None and self.policy.drops(field):
                return DROPPED
            return self._redacted(text, purpose)
        except Exception:  # a redactor that fails must not let the raw text through
            return FAILED

    def holds_personal_data(self, text: str, purpose: Purpose = "trace") -> bool:
        """Whether anything in a text would be replaced; also when that cannot be told."""
        return self.redact(text, purpose) != text

    def pseudonym(self, kind: str, value: str) -> str:
        """Return what stands for a value: its kind, and with a key letters that are its alone."""
        if self._key is None:
            return f"[{kind}]"
        digest = hmac.digest(self._key, f"{kind}\0{_same(kind, value)}".encode(), "sha256")
        letters = "".join(_LETTERS[byte & 15] for byte in digest[:_PSEUDONYM_CHARS])
        return f"[{kind}:{letters}]"

    def _redacted(self, text: str, purpose: Purpose) -> str:
        """Redact until nothing is found: a replacement may bring together what was apart."""
        for _ in range(_PASSES):
            pieces: list[tuple[FlaggedSpan, str]] = []
            for span in self._find(text):
                replacement = self._replacement(span.kind, text[span.start : span.end], purpose)
                if replacement is not None:
                    pieces.append((span, replacement))
            if not pieces:
                return text
            text = splice(text, pieces)
        return FAILED

    def _find(self, text: str) -> list[FlaggedSpan]:
        """Find once what one request redacts for several purposes."""
        found = self._found.get(text)
        if found is None:
            found = self.finder.find(text)
            if len(self._found) >= _REMEMBERED_TEXTS:
                self._found = {}
            self._found[text] = found
        return found

    def _replacement(self, kind: str, value: str, purpose: Purpose) -> str | None:
        treatment = self.policy.treatment(kind, purpose)
        if treatment == "keep":
            return None
        return self.pseudonym(kind, value) if treatment == "pseudonym" else f"[{kind}]"


def _same(kind: str, value: str) -> str:
    """Return the form in which two spellings of one value are equal."""
    if kind in ("phone", "card", "ssn", "iban", "order_id", "tracking_number"):
        return "".join(character for character in value if character.isalnum()).lower()
    return " ".join(value.lower().split())
