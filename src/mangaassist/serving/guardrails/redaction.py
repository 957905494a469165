"""Redaction of everything that leaves the process: span previews, logs, degraded reasons."""

from __future__ import annotations

from mangaassist.serving.guardrails.recognisers import find_personal_data
from mangaassist.serving.guardrails.splicing import splice

FAILED = "[redaction failed]"


class Redactor:
    """Replaces personal data by its kind, and fails closed."""

    def redact(self, text: str) -> str:
        """Return the text without personal data; when anything goes wrong, without any of the text."""
        try:
            spans = find_personal_data(text, order_ids=True)
            return splice(text, [(span, f"[{span.kind}]") for span in spans]) if spans else text
        except Exception:  # a redactor that fails must not let the raw text through
            return FAILED
