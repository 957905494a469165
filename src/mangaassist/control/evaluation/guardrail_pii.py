"""What the recognisers of personal data are worth on labelled texts: by type, by source, and in time."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from mangaassist.control.evaluation.guardrail_data import read_rows
from mangaassist.control.evaluation.guardrail_figures import latency_figures
from mangaassist.domain.errors import InvalidRequestError
from mangaassist.domain.guardrails import FlaggedSpan

Find = Callable[[str], Sequence[FlaggedSpan]]
Progress = Callable[[str, int, int], None]

FIXED_TYPES: Final = ("EMAIL", "PHONE", "CREDIT_CARD", "SSN", "IP", "URL")
NAME_TYPES: Final = ("PERSON", "ADDRESS")
_TIMED_PASSES: Final = 3
_TYPES: Final[Mapping[str, str]] = {
    "EMAIL_ADDRESS": "EMAIL", "PHONE_NUMBER": "PHONE", "CARD": "CREDIT_CARD", "US_SSN": "SSN",
    "IP_ADDRESS": "IP", "IPV4": "IP", "IPV6": "IP", "DOMAIN_NAME": "URL", "IBAN_CODE": "IBAN",
    "STREET_ADDRESS": "ADDRESS", "NAME": "PERSON", "PER": "PERSON",
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelledText:
    """A text, what is in it (kinds in the names of the data), and where it comes from."""

    text: str
    spans: tuple[FlaggedSpan, ...]
    source: str


@dataclass(slots=True)
class _Counts:
    """Counts of one slice of the rows."""

    rows: int = 0
    clean_rows: int = 0
    clean_rows_flagged: int = 0
    labelled: Counter[str] = field(default_factory=Counter)
    hit: Counter[str] = field(default_factory=Counter)
    predicted: Counter[str] = field(default_factory=Counter)
    right: Counter[str] = field(default_factory=Counter)
    characters: int = 0
    covered: int = 0

    def add(self, row: LabelledText, found: Sequence[FlaggedSpan]) -> None:
        """Count one row. A hit is an overlap of the right type."""
        self.rows += 1
        measured = [span for span in found if span.kind in FIXED_TYPES + NAME_TYPES]
        if not row.spans:
            self.clean_rows += 1
            self.clean_rows_flagged += bool(measured)
        for span in row.spans:
            self.labelled[span.kind] += 1
            self.hit[span.kind] += any(_same(span, other) for other in found)
            if span.kind in FIXED_TYPES:
                positions = range(span.start, span.end)
                self.characters += len(positions)
                self.covered += sum(any(o.start <= at < o.end for o in found) for at in positions)
        for span in found:
            self.predicted[span.kind] += 1
            self.right[span.kind] += any(_same(span, other) for other in row.spans)

    def document(self) -> dict[str, object]:
        """Return the figures; None where nothing was counted."""
        precision, recall, f1 = self._figures(FIXED_TYPES)
        kinds = [kind for kind in (*FIXED_TYPES, "IBAN", *NAME_TYPES) if self._counted(kind)]
        return {
            "rows": self.rows,
            "fixed_type_f1": f1,
            "fixed_type_precision": precision,
            "fixed_type_recall": recall,
            "character_coverage": self.covered / self.characters if self.characters else None,
            "person_address_f1": self._figures(NAME_TYPES)[2],
            "rows_without_pii": self.clean_rows,
            "rows_without_pii_flagged": self.clean_rows_flagged,
            "by_type": {kind: self._by_type(kind) for kind in kinds},
        }

    def _counted(self, kind: str) -> bool:
        return bool(self.labelled[kind] or self.predicted[kind])

    def _by_type(self, kind: str) -> dict[str, float | int | None]:
        precision, recall, f1 = self._figures((kind,))
        counts = {"labelled": self.labelled[kind], "found": self.predicted[kind]}
        return {"precision": precision, "recall": recall, "f1": f1, **counts}

    def _figures(self, kinds: Sequence[str]) -> tuple[float | None, float | None, float | None]:
        labelled, hit = sum(self.labelled[k] for k in kinds), sum(self.hit[k] for k in kinds)
        predicted, right = sum(self.predicted[k] for k in kinds), sum(self.right[k] for k in kinds)
        precision = right / predicted if predicted else None
        recall = hit / labelled if labelled else None
        if precision is None or recall is None:
            return precision, recall, None
        return precision, recall, 2 * precision * recall / (precision + recall) if right and hit else 0.0


def read_labelled_spans(path: Path) -> list[LabelledText]:
    """Return the rows of a file of {"text", "spans": [{"start", "end", "type"}], "source"}."""
    return [
        LabelledText(
            text=row["text"],
            spans=tuple(_span(path, row["text"], item) for item in row["spans"]),
            source=row["source"],
        )
        for row in read_rows(path, {"text": str, "spans": list, "source": str})
    ]


def evaluate_finder(rows: Sequence[LabelledText], find: Find, *, progress: Progress) -> dict[str, object]:
    """Return `overall` and `by_source`. Time is that of one text in a warm process, best of three passes."""
    overall, by_source = _Counts(), dict[str, _Counts]()
    for done, row in enumerate(rows, start=1):
        found = [_renamed(span) for span in find(row.text)]
        overall.add(row, found)
        by_source.setdefault(row.source, _Counts()).add(row, found)
        progress("find", done, len(rows))
    latency = latency_figures(time_finder([row.text for row in rows], find))
    return {
        "overall": {**overall.document(), **latency},
        "by_source": {source: counts.document() for source, counts in sorted(by_source.items())},
    }


def time_finder(texts: Sequence[str], find: Find, *, passes: int = _TIMED_PASSES) -> list[float]:
    """Return the seconds of each text: the best of several passes, free of what else the machine did."""
    best = [float("inf")] * len(texts)
    for _ in range(passes):
        for index, text in enumerate(texts):
            started = time.perf_counter()
            find(text)
            best[index] = min(best[index], time.perf_counter() - started)
    return best


def type_of(kind: str) -> str:
    """Return the name under which a kind, ours or another's, is counted."""
    upper = kind.upper()
    return _TYPES.get(upper, upper)


def _renamed(span: FlaggedSpan) -> FlaggedSpan:
    return FlaggedSpan(start=span.start, end=span.end, kind=type_of(span.kind))


def _span(path: Path, text: str, item: object) -> FlaggedSpan:
    match item:
        case {"start": int(start), "end": int(end), "type": str(kind)} if 0 <= start < end <= len(text):
            return FlaggedSpan(start=start, end=end, kind=type_of(kind))
    raise InvalidRequestError(f"{path.name}: not a span of its text: {item!r}")


def _same(one: FlaggedSpan, other: FlaggedSpan) -> bool:
    return one.kind == other.kind and one.start < other.end and other.start < one.end
