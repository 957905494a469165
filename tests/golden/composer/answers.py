"""The answers as they are now, under the limits that the shipped prompts declare."""

from __future__ import annotations

from pathlib import Path

from mangaassist.adapters.embedded.composer.model import compose
from mangaassist.adapters.embedded.prompt_files import load_prompts
from mangaassist.domain.generation import AnswerLimits
from tests.golden.composer.cases import cases
from tests.support.composer_facts import STORE

EXPECTED = Path(__file__).parent / "expected"


def answers() -> dict[str, str]:
    """Return question and answer of every case by its name."""
    limits = {prompt.intent: prompt.limits for prompt in load_prompts(STORE / "prompts")}
    texts = {}
    for name, facts in cases().items():
        answer = compose(facts, limits.get(facts.intent.value, AnswerLimits()))
        texts[name] = f"> {facts.reading.text}\n\n{answer}\n"
    return texts
