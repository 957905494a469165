"""What an answer may not show of personal data: one decision for the whole answer and for its stream."""

from __future__ import annotations

from functools import cached_property

from mangaassist.domain.personal_data import RedactionPolicy
from mangaassist.serving.guardrails.context import GuardrailContext
from mangaassist.serving.guardrails.links import host_allowed, host_of
from mangaassist.serving.guardrails.ruleset import StagePolicy

LINK_REMOVED = "[link removed]"


class AnswerPrivacy:
    """Decides on what was found in one answer: None lets it stand, a text takes its place.

    The store's own addresses and numbers stand: those of its hosts, and those in the texts that the
    answer was made from. `links` is the policy of url_validation where links are guarded too.
    """

    def __init__(
        self,
        context: GuardrailContext | None,
        *,
        policy: RedactionPolicy,
        stage: StagePolicy | None,
        links: StagePolicy | None = None,
    ) -> None:
        self._context = context
        self._policy = policy
        self._stage = stage
        self._links = links

    def __call__(self, kind: str, text: str) -> str | None:
        """Return the replacement of one find, or None."""
        if kind == "url":
            guarded = self._links is not None and not host_allowed(host_of(text), self._links.allowed_hosts)
            return LINK_REMOVED if guarded else None
        if self._policy.treatment(kind, "answer") == "keep":
            return None
        personal = kind in self._policy.treatments["answer"]
        return None if personal and (self._stage is None or self._is_own(text, self._stage)) else f"[{kind}]"

    def _is_own(self, text: str, stage: StagePolicy) -> bool:
        host = text.rpartition("@")[2].rstrip(".").lower()
        return host in stage.allowed_hosts or text in self._own_texts

    @cached_property
    def _own_texts(self) -> str:
        context = self._context
        if context is None:
            return ""
        texts = [chunk.text for chunk in context.chunks]
        if context.facts is not None:
            texts += [passage.text for passage in context.facts.passages]
        return "\n".join(texts)
