"""What another ruleset would have done to answers that were logged, by stage, rule and intent."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from mangaassist.domain.chat import Channel
from mangaassist.domain.guardrail_reviews import ReviewLabel
from mangaassist.domain.guardrails import SEVERITY, STREAM_GUARD, Action
from mangaassist.domain.intents import Intent
from mangaassist.serving.guardrails.ruleset import Ruleset, StagePolicy

SCORE_SUFFICES: Final = frozenset(
    {"mode", "threshold", "thresholds_by_intent", "thresholds_by_channel", "failure_policy", "timeout_ms"}
)
"""Fields of a policy whose change is told from the recorded score; any other change needs the stage again."""

ABOUT_CHUNKS: Final = frozenset({"retrieved_injection"})
"""Stages that refuse retrieved texts, never the answer."""

BLOCKING: Final = frozenset({"replace", "block"})
EXAMPLES: Final = 20
_TYPICAL: Final[Mapping[str, Action]] = {
    "input_length": "block",
    "prompt_injection": "block",
    "input_toxicity": "block",
    "pii_detection": "redact",
    "url_validation": "redact",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class LoggedAnswer:
    """What is recorded of one answer's guardrails, and its label where somebody judged it."""

    response_id: str
    intent: str
    channel: Channel
    action: str
    stage: str | None
    rule: str | None
    scores: Mapping[str, float]
    actions: Mapping[str, str]
    rules: Mapping[str, str]
    latency_ms: Mapping[str, float]
    label: ReviewLabel | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Rescored:
    """What a stage says when it is run again."""

    score: float | None
    action: Action
    rule: str | None


@dataclass(slots=True)
class ChangeCounts:
    """How many were objected to before and after, and what labels say of them."""

    answers: int = 0
    before: int = 0
    after: int = 0
    newly: int = 0
    released: int = 0
    false_positives_before: int = 0
    false_positives_after: int = 0
    violations: int = 0
    violations_missed_before: int = 0
    violations_missed_after: int = 0

    def take(self, before: bool, after: bool, label: ReviewLabel | None) -> None:
        """Count one answer."""
        self.answers += 1
        self.before += before
        self.after += after
        self.newly += after and not before
        self.released += before and not after
        if label == "fine":
            self.false_positives_before += before
            self.false_positives_after += after
        elif label == "violation":
            self.violations += 1
            self.violations_missed_before += not before
            self.violations_missed_after += not after

    def document(self) -> dict[str, int]:
        """Return the counts by name."""
        return {name: getattr(self, name) for name in self.__slots__}


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplayReport:
    """The difference between what was and what would have been."""

    ruleset: str
    against: str
    answers: int
    labelled: int
    overall: ChangeCounts
    by_stage: Mapping[str, ChangeCounts]
    by_rule: Mapping[str, ChangeCounts]
    by_intent: Mapping[str, ChangeCounts]
    latency_ms: Mapping[str, tuple[float, float]]
    run_again: Mapping[str, int]
    not_replayed: Mapping[str, int]
    newly_blocked: tuple[str, ...]
    released: tuple[str, ...]

    def document(self) -> dict[str, object]:
        """Return the JSON of `guardrails replay`."""
        return {
            "ruleset": self.ruleset,
            "against": self.against,
            "answers": self.answers,
            "labelled": self.labelled,
            "overall": self.overall.document(),
            "by_stage": {
                name: counts.document()
                | {"p50_ms": self.latency_ms[name][0], "p95_ms": self.latency_ms[name][1]}
                | {"run_again": self.run_again.get(name, 0), "not_replayed": self.not_replayed.get(name, 0)}
                for name, counts in self.by_stage.items()
            },
            "by_rule": {name: counts.document() for name, counts in self.by_rule.items()},
            "by_intent": {name: counts.document() for name, counts in self.by_intent.items()},
            "newly_blocked": list(self.newly_blocked),
            "released": list(self.released),
        }


@dataclass(slots=True)
class _Tally:
    overall: ChangeCounts = field(default_factory=ChangeCounts)
    by_stage: defaultdict[str, ChangeCounts] = field(default_factory=lambda: defaultdict(ChangeCounts))
    by_rule: defaultdict[str, ChangeCounts] = field(default_factory=lambda: defaultdict(ChangeCounts))
    by_intent: defaultdict[str, ChangeCounts] = field(default_factory=lambda: defaultdict(ChangeCounts))
    newly: list[str] = field(default_factory=list)
    released: list[str] = field(default_factory=list)


def stages_to_run_again(old: Ruleset, new: Ruleset) -> frozenset[str]:
    """Return the stages of the new ruleset whose recorded scores do not tell what they would say."""
    return frozenset(
        name
        for name, policy in new.stages.items()
        if name not in old.stages or _content(policy) != _content(old.stages[name])
    )


def replay(
    answers: Sequence[LoggedAnswer],
    *,
    old: Ruleset,
    new: Ruleset,
    again: Mapping[tuple[str, str], Rescored],
) -> ReplayReport:
    """Decide every answer again under `new`.

    `again` holds what stages said that were run again, by (response id, stage). A stage that would need it
    and has none keeps its recorded score and is counted in `not_replayed`. Before and after of a stage count
    what it objected to, whatever its mode; overall and by intent and rule count what was replaced or blocked.
    """
    changed = stages_to_run_again(old, new)
    typical = {**_TYPICAL, **_usual_actions(answers)}
    tally = _Tally()
    run_again: Counter[str] = Counter()
    not_replayed: Counter[str] = Counter()
    for answer in answers:
        decided: list[tuple[Action, str | None]] = []
        for name, policy in new.stages.items():
            rescored = again.get((answer.response_id, name))
            if rescored is None and name not in answer.actions:
                continue
            run_again[name] += rescored is not None
            not_replayed[name] += rescored is None and name in changed
            after = _after(answer, name, policy, rescored, typical)
            before = answer.actions.get(name, "allow") != "allow"
            tally.by_stage[name].take(before, after != "allow" and policy.mode != "off", answer.label)
            if policy.mode == "enforce" and name not in ABOUT_CHUNKS:
                rule = rescored.rule if rescored else answer.rules.get(name)
                decided.append((after, f"{name}:{rule}" if rule else name))
        if answer.stage == STREAM_GUARD and (answer.response_id, "competitor_filter") not in again:
            # its rules are the ruleset's names: unchanged, they stop the same stream again
            decided.append(("block", f"{STREAM_GUARD}:{answer.rule}"))
        _take_decision(tally, answer, decided)
    return ReplayReport(
        ruleset=new.version,
        against=old.version,
        answers=len(answers),
        labelled=sum(answer.label is not None for answer in answers),
        overall=tally.overall,
        by_stage=dict(tally.by_stage),
        by_rule=dict(tally.by_rule),
        by_intent=dict(sorted(tally.by_intent.items())),
        latency_ms=_latencies(answers, tally.by_stage),
        run_again=run_again,
        not_replayed=not_replayed,
        newly_blocked=tuple(tally.newly[:EXAMPLES]),
        released=tuple(tally.released[:EXAMPLES]),
    )


def _take_decision(tally: _Tally, answer: LoggedAnswer, decided: Sequence[tuple[Action, str | None]]) -> None:
    strictest, rule_after = max(decided, key=lambda one: SEVERITY[one[0]], default=("allow", None))
    before, after = answer.action in BLOCKING, strictest in BLOCKING
    tally.overall.take(before, after, answer.label)
    tally.by_intent[answer.intent].take(before, after, answer.label)
    rule_before = f"{answer.stage}:{answer.rule}" if answer.rule else answer.stage
    for rule in {rule_before if before else None, rule_after if after else None} - {None}:
        tally.by_rule[str(rule)].take(
            before and rule == rule_before, after and rule == rule_after, answer.label
        )
    if after and not before:
        tally.newly.append(answer.response_id)
    elif before and not after:
        tally.released.append(answer.response_id)


def _after(
    answer: LoggedAnswer,
    name: str,
    policy: StagePolicy,
    rescored: Rescored | None,
    typical: Mapping[str, Action],
) -> Action:
    if policy.mode == "off":
        return "allow"
    score = rescored.score if rescored is not None else answer.scores.get(name)
    intent = Intent(answer.intent) if answer.intent in set(Intent) else None
    if rescored is not None:
        action = rescored.action
    elif score is None:
        # without a score the stage decided by itself, and would again
        return _as_action(answer.actions[name])
    else:
        recorded = _as_action(answer.actions[name])
        action = recorded if recorded != "allow" else typical.get(name, "replace")
    if score is not None and score < policy.threshold_for(intent, answer.channel):
        return "allow"
    return action


def _usual_actions(answers: Iterable[LoggedAnswer]) -> dict[str, Action]:
    """Return what each stage did most often when it objected."""
    seen: defaultdict[str, Counter[Action]] = defaultdict(Counter)
    for answer in answers:
        for name, action in answer.actions.items():
            if action != "allow":
                seen[name][_as_action(action)] += 1
    return {name: counts.most_common(1)[0][0] for name, counts in seen.items()}


def _as_action(text: str) -> Action:
    return next((action for action in SEVERITY if action == text), "allow")


def _content(policy: StagePolicy) -> dict[str, object]:
    return policy.model_dump(mode="json", exclude=set(SCORE_SUFFICES))


def _latencies(answers: Sequence[LoggedAnswer], names: Iterable[str]) -> dict[str, tuple[float, float]]:
    out = {}
    for name in names:
        taken = [answer.latency_ms[name] for answer in answers if name in answer.latency_ms]
        p50, p95 = np.percentile(taken, (50, 95)) if taken else (0.0, 0.0)
        out[name] = (round(float(p50), 4), round(float(p95), 4))
    return out
