"""url_validation: answers link to allowed hosts only."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from mangaassist.domain.guardrails import FlaggedSpan, Phase
from mangaassist.serving.guardrails.context import GuardrailContext
from mangaassist.serving.guardrails.ruleset import StagePolicy
from mangaassist.serving.guardrails.stage import Finding


class UrlValidationStage:
    """Removes links whose parsed host is not allowed."""

    name = "url_validation"
    phase: Phase = "output"
    waits = False

    def __init__(self) -> None:
        self._url = re.compile(r"(?i)\bhttps?://[^\s<>\"')\]]+")

    async def check(self, text: str, context: GuardrailContext, policy: StagePolicy) -> Finding:
        """Score is 1 when a link to another host was found."""
        spans = tuple(
            FlaggedSpan(start=match.start(), end=match.end(), kind="url")
            for match in self._url.finditer(text)
            if _host(match.group()) not in policy.allowed_hosts
        )
        if not spans:
            return Finding(score=0.0)
        return Finding(
            action="redact",
            score=1.0,
            rule_id="host_not_allowed",
            reason="the answer links to a host that is not the store's",
            spans=spans,
            replacements=("[link removed]",) * len(spans),
        )


def _host(url: str) -> str | None:
    try:
        return urlsplit(url).hostname
    except ValueError:
        return None
