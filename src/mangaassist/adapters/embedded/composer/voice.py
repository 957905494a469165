"""The wording of one answer: varied between questions, the same for the same question."""

from __future__ import annotations

from dataclasses import dataclass

from mangaassist.adapters.embedded.composer.draft import Weight
from mangaassist.domain.generation import AnswerLimits
from mangaassist.domain.grounding import AnswerFacts
from mangaassist.domain.wording import stable_choice

_LIGHTEST = {
    "warm": Weight.PLEASANTRY,
    "apologetic": Weight.PLEASANTRY,
    "plain": Weight.DETAIL,
    "brief": Weight.SUPPORT,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Voice:
    """Chooses between wordings by a stable hash; knows the limits the prompt declared."""

    seed: str
    limits: AnswerLimits

    @classmethod
    def of(cls, facts: AnswerFacts, limits: AnswerLimits) -> Voice:
        """Return the voice for this question at this point of the conversation."""
        return cls(seed=f"{facts.reading.text}|{facts.reading.state.turn_count}", limits=limits)

    @property
    def lightest(self) -> Weight:
        """The lightest sentence that the tone lets through."""
        return _LIGHTEST[self.limits.tone]

    def pick(self, occasion: str, *wordings: str) -> str:
        """Return one of the wordings."""
        return wordings[stable_choice(f"{self.seed}|{occasion}", len(wordings))]
