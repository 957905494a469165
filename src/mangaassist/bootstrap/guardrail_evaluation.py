"""Evaluates the store's guardrails on labelled files, by kind; a new kind is named in `EVALUATIONS`."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from mangaassist.bootstrap.guardrails import load_ruleset
from mangaassist.bootstrap.settings import Settings, find_store_dir
from mangaassist.domain.errors import InvalidRequestError
from mangaassist.serving.guardrails.context import GuardrailContext
from mangaassist.serving.guardrails.stages.prompt_injection import PromptInjectionStage

Kind = Literal["injection", "pii", "grounding"]
Progress = Callable[[str, int, int], None]
Document = Mapping[str, object]
RULESET_FILE = Path("guardrails") / "ruleset.yaml"


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluationRequest:
    """A file to evaluate one kind of guardrail on."""

    file: Path
    settings: Settings
    progress: Progress


def evaluate_guardrails(kind: Kind, request: EvaluationRequest) -> Document:
    """Return `overall` and `by_source` of one kind."""
    if kind not in EVALUATIONS:
        raise InvalidRequestError(f"--kind must be one of {', '.join(EVALUATIONS)}, got {kind!r}")
    return EVALUATIONS[kind](request)


def _injection(request: EvaluationRequest) -> Document:
    from mangaassist.control.evaluation.guardrail_injection import read_labelled, report, score_texts

    rows = read_labelled(request.file)
    ruleset = load_ruleset(find_store_dir(request.settings) / RULESET_FILE)
    stage, policy = PromptInjectionStage(ruleset), ruleset.stages["prompt_injection"]

    async def score(text: str) -> float:
        return (await stage.check(text, GuardrailContext(), policy)).score or 0.0

    scores, seconds = asyncio.run(score_texts([row.text for row in rows], score, progress=request.progress))
    return report(rows, scores, seconds, threshold=policy.threshold)


def _pii(request: EvaluationRequest) -> Document:
    from mangaassist.bootstrap.privacy import open_finder
    from mangaassist.control.evaluation.guardrail_pii import evaluate_finder, read_labelled_spans

    rows = read_labelled_spans(request.file)
    return evaluate_finder(rows, open_finder(request.settings).find, progress=request.progress)


EVALUATIONS: Mapping[Kind, Callable[[EvaluationRequest], Document]] = {"injection": _injection, "pii": _pii}
