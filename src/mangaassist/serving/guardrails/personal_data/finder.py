"""The one finder of personal data: fixed forms, addresses and people, without overlaps."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from mangaassist.domain.guardrails import FlaggedSpan
from mangaassist.serving.guardrails.personal_data.addresses import find_addresses
from mangaassist.serving.guardrails.personal_data.forms import fixed_form_rules
from mangaassist.serving.guardrails.personal_data.name_lists import CatalogueNames, NameLists, load_name_lists
from mangaassist.serving.guardrails.personal_data.people import PeopleRecogniser
from mangaassist.serving.guardrails.scanning import ScanRules

_PRIORITY = (
    ("order_id", "tracking_number", "isbn", "asin"),
    ("email", "card", "iban", "ssn", "ip", "url", "phone"),
    ("address",),
    ("person",),
)
_RANK = {kind: rank for rank, kinds in enumerate(_PRIORITY) for kind in kinds}
_OTHER_RANK = len(_PRIORITY)


class PersonalDataFinder:
    """Finds typed spans; the ids of the store are among them and win over what looks like them.

    `catalogue_names` are titles, authors and characters, which are not persons.
    """

    def __init__(self, *, catalogue_names: Iterable[str] = (), names: NameLists | None = None) -> None:
        self._fixed = ScanRules(fixed_form_rules())
        self._people = PeopleRecogniser(names or load_name_lists())
        self._catalogue = CatalogueNames(catalogue_names)

    def renew(self, catalogue_names: Iterable[str]) -> None:
        """Take up another catalogue's names."""
        self._catalogue = CatalogueNames(catalogue_names)

    @property
    def fixed_forms(self) -> ScanRules:
        """The recognisers of a fixed form, which also guard streams."""
        return self._fixed

    def find(self, text: str, *, others: Sequence[FlaggedSpan] = ()) -> list[FlaggedSpan]:
        """Return spans in order, none overlapping; `others` are candidates of another recogniser."""
        fixed = [hit.span for hit in self._fixed.scan(text)]
        addresses = [FlaggedSpan(start=start, end=end, kind="address") for start, end in find_addresses(text)]
        sheet = bool(fixed or addresses) and "\n" in text
        people = [
            FlaggedSpan(start=start, end=end, kind="person")
            for start, end in self._people.find(text, contact_sheet=sheet)
            if not self._catalogue.covers(text, start, end)
        ]
        return without_overlaps([*fixed, *addresses, *people, *others])


def without_overlaps(spans: Iterable[FlaggedSpan]) -> list[FlaggedSpan]:
    """Keep of overlapping spans the one of the higher priority, then the longer, then the earlier one."""
    kept: list[FlaggedSpan] = []
    for span in sorted(spans, key=_preference):
        if all(span.end <= other.start or other.end <= span.start for other in kept):
            kept.append(span)
    return sorted(kept, key=lambda span: span.start)


def _preference(span: FlaggedSpan) -> tuple[int, int, int, int, str]:
    return _RANK.get(span.kind, _OTHER_RANK), span.start - span.end, span.start, span.end, span.kind
