"""url_validation: answers link to allowed hosts only, as their parsed host tells."""

from __future__ import annotations

import re
from typing import Final

from mangaassist.domain.guardrails import FlaggedSpan, Phase
from mangaassist.serving.guardrails.context import GuardrailContext
from mangaassist.serving.guardrails.links import host_allowed, host_of
from mangaassist.serving.guardrails.ruleset import StagePolicy
from mangaassist.serving.guardrails.stage import Finding

_TOP_LEVEL: Final = (
    "com|net|org|info|biz|io|co|tv|cc|gg|xyz|site|online|shop|store|app|dev|club|top|link|click|live|uk|eu|de|fr"
    "|es|jp|cn|ru|br|ca|au|nl|pl|se|ch|li|ws|pro|ai|example"
)
_ALSO_WORDS: Final = "to|me|us|it|in|is|so|fun"
"""Top-level domains that a missing space makes of prose ("Monster.It"): only with a path."""

_ENDS: Final = ".,;:!?'\"”’"


class UrlValidationStage:
    """Removes links whose parsed host is neither allowed nor below an allowed one.

    Found are links with any scheme (`https:`, `javascript:`, `data:`, also `//host`) and bare hosts
    (`mangasite.to/chapter-1`). Whatever cannot be parsed is a stranger's.
    """

    name = "url_validation"
    phase: Phase = "output"
    waits = False

    def __init__(self) -> None:
        self._link = re.compile(
            r"(?i)(?:(?:\b[a-z][a-z0-9+.-]{1,15}://|(?<!:)//(?=[^\s/]*\.))[^\s<>\"'”)\]]+"
            r"|\b(?:javascript|data|vbscript|file):[^\s<>\"'”)\]]+"
            r"|(?<![@\w.-])(?:[a-z0-9-]{1,63}\.){1,6}"
            rf"(?:(?:{_TOP_LEVEL})\b(?![\w@-])|(?:{_ALSO_WORDS})(?=/))"
            r"(?::\d{1,5})?(?:/[^\s<>\"'”)\]]*)?)"
        )

    async def check(self, text: str, context: GuardrailContext, policy: StagePolicy) -> Finding:
        """Score is 1 when a link to another host was found."""
        strangers = []
        for match in self._link.finditer(text):
            link = match.group().rstrip(_ENDS)
            if not host_allowed(host_of(link), policy.allowed_hosts):
                strangers.append(FlaggedSpan(start=match.start(), end=match.start() + len(link), kind="url"))
        if not strangers:
            return Finding(score=0.0)
        return Finding(
            action="redact",
            score=1.0,
            rule_id="host_not_allowed",
            reason=f"{len(strangers)} link(s) to a host that is not the store's",
            spans=tuple(strangers),
            replacements=("[link removed]",) * len(strangers),
        )
