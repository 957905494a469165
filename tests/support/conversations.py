"""Plays a conversation through reader, settling, facts and after-answer, the way the pipeline does."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mangaassist.domain.chat import Identity, PageContext, Turn
from mangaassist.domain.dialogue import DialogueState, Reading
from mangaassist.domain.grounding import AnswerFacts
from mangaassist.domain.intents import Intent, IntentDecision
from mangaassist.ports.sessions import SessionContext
from mangaassist.serving.dialogue.state_changes import after_answer
from tests.support.demo_store import NOW, DemoStore


def decided(intent: Intent, confidence: float = 0.95) -> IntentDecision:
    """Return what a classifier might have said."""
    return IntentDecision(
        intent=intent,
        confidence=confidence,
        classification_path="model",
        stage="first_stage",
        classifier_version="test",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Played:
    """One turn as it was understood and answered; `state` is what the next turn starts from."""

    decision: IntentDecision
    reading: Reading
    facts: AnswerFacts
    state: DialogueState


class Conversation:
    """One session of a shopper."""

    def __init__(self, store: DemoStore, *, customer_id: str | None = None, asin: str | None = None) -> None:
        self._store = store
        self._page = PageContext(asin=asin)
        self._identity = Identity(owner="visitor:1", customer_id=customer_id)
        self._turns: tuple[Turn, ...] = ()
        self.state = DialogueState()

    async def say(self, text: str, decision: IntentDecision, *, shown: Sequence[str] | None = None) -> Played:
        """Play one turn; `shown` are the series of the answer, else those of its facts."""
        session = SessionContext(
            session_id="s1", owner="visitor:1", turns=self._turns, state=self.state, exists=bool(self._turns)
        )
        reading = self._store.reader.read(text, session, self._page, NOW)
        decision, reading = self._store.reader.settle(reading, decision, session)
        facts = await self._store.assembler.assemble(reading, decision, None, self._identity, NOW)
        if shown is None:
            shown = [item.series.series_id for item in (facts.candidates[:3] or facts.subjects)]
        self.state = after_answer(reading.state, facts, shown)
        turn = Turn(
            response_id=f"r{len(self._turns)}",
            user_text=text,
            assistant_text="",
            intent=decision.intent,
            created_at=NOW,
        )
        self._turns = (*self._turns, turn)
        return Played(decision=decision, reading=reading, facts=facts, state=self.state)
