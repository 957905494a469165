"""Why one answer was bad: the layer that is likely to blame, with what in its evidence says so.

Every rule looks at one thing and gives a weight; the strongest finding is the likely layer. The rules
and their weights are judged together on planted faults (`tests/simulation/test_root_cause.py`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from mangaassist.control.monitoring.evidence import (
    LAYER_OF_STEP,
    AnswerEvidence,
    Complaint,
    Finding,
    Layer,
)
from mangaassist.domain.retrieval import Chunk

SURE: Final = 0.95
LIKELY: Final = 0.7
HINT: Final = 0.35

_FACTUAL: Final = frozenset(
    {"asin_validation", "price_validation", "fact_validation", "grounding_check", "format_validation"}
)
_WORD: Final = re.compile(r"[A-Za-z0-9%$.]*[A-Za-z0-9%]")
_FIGURE: Final = re.compile(r"\$?\d[\d,]*(?:\.\d+)?%?|\b[A-Z][A-Z0-9]{5,}\b")
_POOR_SCORE_RATIO: Final = 0.35
_MISORDERED: Final = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Diagnosis:
    """What is wrong with an answer and why, strongest finding first; `layer` is None without any."""

    response_id: str
    complaints: tuple[Complaint, ...]
    findings: tuple[Finding, ...]

    @property
    def layer(self) -> Layer | None:
        """The likely layer."""
        return self.findings[0].layer if self.findings else None


def diagnose(evidence: AnswerEvidence) -> Diagnosis:
    """Return the diagnosis of one answer."""
    complaints = evidence.complaints
    found: list[Finding] = []
    if "slow" in complaints:
        found += _slow(evidence)
    if "blocked" in complaints:
        found += _blocked(evidence)
    if "disliked" in complaints or ("blocked" in complaints and not _input_blocked(evidence)):
        for rule in (_stale, _missing_or_not_found, _misordered, _not_in_prompt, _generated, _misread):
            found += rule(evidence)
    strongest: dict[Layer, Finding] = {}
    for finding in found:
        if finding.layer not in strongest or strongest[finding.layer].weight < finding.weight:
            strongest[finding.layer] = finding
    ordered = sorted(strongest.values(), key=lambda finding: -finding.weight)
    return Diagnosis(response_id=evidence.record.response_id, complaints=complaints, findings=tuple(ordered))


def changed_words(used: Chunk, source: Chunk | None) -> set[str]:
    """Return the words of a used chunk that its source no longer has."""
    now = set(_WORD.findall(source.text)) | set(_WORD.findall(source.title)) if source else set()
    return set(_WORD.findall(used.text)) - now


def is_stale(used: Chunk, source: Chunk | None) -> bool:
    """Whether a used chunk is not what its source says: its text, its title, or when it is valid."""
    if source is None:
        return True
    validity = ("starts_at", "ends_at")
    return (
        used.text != source.text
        or used.title != source.title
        or any(used.metadata.get(name) != source.metadata.get(name) for name in validity)
    )


def _slow(evidence: AnswerEvidence) -> Iterator[Finding]:
    usual, taken = evidence.usual, evidence.step_ms()
    excess = {name: ms - usual.step_ms.get(name, 0.0) for name, ms in taken.items() if name in LAYER_OF_STEP}
    total = sum(value for value in excess.values() if value > 0)
    for name, value in sorted(excess.items(), key=lambda item: -item[1])[:3]:
        if value <= 0 or value < 0.2 * total:
            continue
        says = [
            f"{name} took {taken[name]:.0f} ms of {evidence.record.latency_ms:.0f} ms; usual are "
            f"{usual.step_ms.get(name, 0.0):.1f} ms ({usual.answers} answers)"
        ]
        layer = LAYER_OF_STEP[name]
        if name == "rerank_chunks" and (count := evidence.attribute(name, "input_count")) is not None:
            says.append(f"it ranked {count} chunks")
        if name == "bedrock_generate":
            layer = _of_generation_time(evidence, says)
        yield Finding(layer=layer, weight=SURE * value / total, evidence=tuple(says))


def _of_generation_time(evidence: AnswerEvidence, says: list[str]) -> Layer:
    """Tell a slow provider from a long answer."""
    record, usual = evidence.record, evidence.usual
    if record.time_to_first_token_ms is not None:
        says.append(f"the first token came after {record.time_to_first_token_ms:.0f} ms")
    if record.retries:
        says.append(f"{record.retries} calls failed before")
    if usual.output_tokens and record.output_tokens > 3 * usual.output_tokens:
        says.append(f"it wrote {record.output_tokens} tokens; usual are {usual.output_tokens:.0f}")
        return "generation"
    return "provider_latency"


def _input_blocked(evidence: AnswerEvidence) -> bool:
    return evidence.record.intent == "out_of_scope" and evidence.record.outcome == "blocked"


def _blocked(evidence: AnswerEvidence) -> Iterator[Finding]:
    record = evidence.record
    if record.outcome == "fallback":
        yield Finding(
            layer="provider_latency"
            if evidence.answer is None or evidence.answer.capsule.raw_text is None
            else "generation",
            weight=LIKELY,
            evidence=("generation ended in the fallback template",),
        )
        return
    stage = record.guardrail_stage
    if stage is None:
        return
    score = record.guardrail_scores.get(stage)
    says = f"{stage} decided {record.guardrail_action} by rule {record.guardrail_rule}, score {score}"
    allowed = evidence.usual.allowed_scores.get(stage, ())
    if stage not in _FACTUAL:
        yield Finding(layer="guardrail", weight=0.8, evidence=(says,))
    elif score is not None and len(allowed) >= 5 and score <= sorted(allowed)[int(0.95 * (len(allowed) - 1))]:
        usual_share = sum(one >= score for one in allowed) / len(allowed)
        yield Finding(
            layer="guardrail",
            weight=0.9,
            evidence=(says, f"{usual_share:.0%} of the answers it allowed scored as much: it over-fires"),
        )
    else:
        yield Finding(
            layer="generation", weight=0.6, evidence=(says, "answers it allows do not score like this")
        )


def _stale(evidence: AnswerEvidence) -> Iterator[Finding]:
    if evidence.answer is None:
        return
    text = evidence.answer.capsule.raw_text or evidence.answer.capsule.text
    said = set(_WORD.findall(text))
    for place, used in enumerate(evidence.answer.chunks):
        source = evidence.source_chunks.get(used.chunk_id)
        if not is_stale(used, source):
            continue
        repeated = sorted(changed_words(used, source) & said)
        what = "is gone from its source" if source is None else "is not what its source says now"
        evidence_of = [f"chunk {used.chunk_id} (rank {place + 1}) {what}"]
        if repeated:
            evidence_of.append(f"the answer repeats it: {', '.join(repeated[:6])}")
        weight = SURE if repeated else LIKELY if place == 0 else HINT
        yield Finding(layer="stale_chunk", weight=weight, evidence=tuple(evidence_of))


def _missing_or_not_found(evidence: AnswerEvidence) -> Iterator[Finding]:
    answer = evidence.answer
    if answer is None or not answer.capsule.retrieved:
        return
    used = {chunk.chunk_id for chunk in answer.chunks}
    scores = [chunk.lexical_score for chunk in answer.capsule.chunks if chunk.lexical_score is not None]
    usual, best = evidence.usual.best_score, max(scores, default=0.0)
    poor = not used or (usual is not None and best < _POOR_SCORE_RATIO * usual)
    if not poor:
        return
    says = f"{len(used)} chunks, best lexical score {best:.2f}" + (
        f"; usual are {usual:.2f}" if usual else ""
    )
    better = [chunk_id for chunk_id in evidence.found_now[:3] if chunk_id not in used]
    failed = [
        f"{name}: {evidence.attribute(name, 'skipped')}"
        for name in ("embed_query", "keyword_search")
        if evidence.attribute(name, "skipped") not in (None, "no embedder", "the policy is lexical")
    ]
    if better or failed:
        found = f"the index holds better ones: {', '.join(better)}" if better else "; ".join(failed)
        yield Finding(layer="retrieval", weight=0.85, evidence=(says, found))
    else:
        yield Finding(
            layer="missing_chunk",
            weight=0.85,
            evidence=(says, "a search of the whole index finds nothing better"),
        )


def _misordered(evidence: AnswerEvidence) -> Iterator[Finding]:
    """A ranker that turns the legs' order round: the pairs of chunks that it ranks against both legs."""
    if evidence.answer is None:
        return
    chunks = [chunk for chunk in evidence.answer.capsule.chunks if chunk.lexical_score is not None]
    pairs = against = 0
    for place, first in enumerate(chunks):
        for second in chunks[place + 1 :]:
            lexical = (second.lexical_score or 0.0) - (first.lexical_score or 0.0)
            dense = (second.dense_score or 0.0) - (first.dense_score or 0.0)
            if lexical == dense == 0.0:
                continue
            pairs += 1
            against += lexical > 0 and dense >= 0
    if pairs >= 3 and against / pairs > _MISORDERED:
        best = max(chunks, key=lambda chunk: chunk.lexical_score or 0.0)
        yield Finding(
            layer="rerank",
            weight=min(0.9, 0.4 + 0.6 * against / pairs),
            evidence=(
                f"{against} of {pairs} pairs of chunks are ranked against every search leg",
                f"{best.chunk_id} has the best lexical score and rank {chunks.index(best) + 1}",
            ),
        )


def _not_in_prompt(evidence: AnswerEvidence) -> Iterator[Finding]:
    answer = evidence.answer
    if answer is None or answer.capsule.prompt is None or answer.capsule.facts is None:
        return
    sent = "".join(message.text for message in answer.capsule.prompt.messages)
    lost = [
        passage.chunk_id
        for passage in answer.capsule.facts.passages
        if not (set(_WORD.findall(passage.text)[:12]) <= set(_WORD.findall(sent)))
    ]
    if lost and len(lost) == len(answer.capsule.facts.passages):
        yield Finding(
            layer="prompt",
            weight=0.9,
            evidence=(
                f"prompt {answer.capsule.prompt.prompt_version} holds none of the {len(lost)} passages",
                f"e.g. {lost[0]}",
            ),
        )


def _generated(evidence: AnswerEvidence) -> Iterator[Finding]:
    answer = evidence.answer
    if answer is None or answer.capsule.prompt is None or answer.capsule.raw_text is None:
        return
    if evidence.record.stop_reason == "max_tokens":
        yield Finding(layer="generation", weight=0.8, evidence=("the answer was cut off at its token limit",))
    prompt = answer.capsule.prompt
    sent = " ".join([answer.system or "", *(message.text for message in prompt.messages)])
    known = set(_FIGURE.findall(sent))
    invented = sorted(
        figure
        for figure in set(_FIGURE.findall(answer.capsule.raw_text))
        if _bare(figure) not in map(_bare, known)
    )
    if invented:
        yield Finding(
            layer="generation",
            weight=0.85,
            evidence=(f"it says what the prompt does not hold: {', '.join(invented[:6])}",),
        )


def _misread(evidence: AnswerEvidence) -> Iterator[Finding]:
    record = evidence.record
    if record.confidence < 0.5:
        yield Finding(
            layer="intent",
            weight=HINT + (0.5 - record.confidence),
            evidence=(f"read as {record.intent} with confidence {record.confidence:.2f}",),
        )


def _bare(figure: str) -> str:
    return figure.strip("$%.,").replace(",", "")
