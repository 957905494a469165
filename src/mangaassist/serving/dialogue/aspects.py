"""What a message asks about a title: price, stock, volumes, author, ..., and which kind of edition."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from mangaassist.domain.dialogue import Aspect

_ASPECTS: Final[tuple[tuple[Aspect, str], ...]] = (
    ("price",
        r"\b(?:how much(?! (?:is|are) there)|prices?|priced|cost|costs|expensive|rrp|msrp"
        r"|what do you charge)\b|\bhow many (?:dollars|bucks)\b"),
    ("cheapest", r"\b(?:cheap(?:er|est)?|lowest price|less expensive|best price|inexpensive|affordable)\b"),
    ("stock",
        r"\b(?:in stock|out of stock|sold out|availab\w*|availible|have (?:it|that|them|this)|restock\w*"
        r"|got it|got (?:vol|volume|book|any)|"
              r"(?:do|did|dont|don't|does) (?:you|u|ya|you guys|y'all|your (?:store|shop)) (?:still "
              r"|also |even |guys )*(?:have|stock|carry|sell|got)|copies left|can i (?:get|buy)"
              r"|stock)\b|^got\b|\byou got\b|\bu have\b"),
    ("volumes",
        r"\bhow man+y (?:more |total |english )?(?:vol\w*|books|tankobons?|parts|tomes|are there"
        r"|do(?:es)? (?:it|they|that) have)\b|\bnumber of (?:volumes|books)\b|\bhow long (?:is|are|does)\b"
        r"|\bhow many is it\b|\blength of\b"),
    ("author",
        r"\b(?:who(?:'s| is| was|s)? (?:the |its |it's )?(?:wrote|writes|written|writer|draws|drew|drawn"
        r"|made|makes|created|author|artist|mangaka|behind|did|illustrat\w+|creator)|author|mangaka"
        r"|written by|drawn by|who is it by|who's it by|by whom|the artist)\b"),
    ("status",
        r"\b(?:finished|complete|completed|ongoing|on[\s-]going|still (?:going|running|publishing"
        r"|coming out)|ended|has it end|is it over|hiatus|cancel+ed series|concluded|done yet|final volume"
        r"|last volume|over yet|still being (?:made|written|published))\b"),
    ("release_date",
        r"\b(?:when (?:is|does|will|did|do) .{0,40}?(?:out|released?|come|coming|available|drop"
        r"|publish\w*)|release date|released?|coming out|comes out|come out|pub(?:lication)? date"
        r"|preorder date|next volume|latest volume|newest volume)\b"),
    ("age_rating",
        r"\b(?:age[\s-]?rat\w+|rated|rating|suitable|appropriate|kid[\s-]?friendly|ok(?:ay)? for"
        r"|too (?:violent|mature|scary|gory) for|what age|which age|how old (?:should|do)|(?:safe|good"
        r"|fine|alright) for (?:a |an |my |kids|children|teens?))"),
    ("anime", r"\b(?:anime|adaptation|adapted|tv show|live[\s-]action)\b"),
    ("summary",
        r"\b(?:what(?:'s| is|s) (?:it|\x01+|that|this|the plot|the story|that one|this one) about"
        r"|what(?:'s| is)? .{0,60} about\b|about\?|plot|premise|synopsis|summary|summari[sz]e"
        r"|tell me (?:more )?about|describe|more about|blurb|what happens in|story about\?)"),
    ("editions",
        r"\b(?:editions?|box(?:ed)?[\s-]?sets?|deluxe|omnibus\w*|collector'?s|perfect edition"
        r"|3[\s-]in[\s-]1|2[\s-]in[\s-]1|vizbig|slipcase|master edition)\b"),
    ("format",
        r"\b(?:hard[\s-]?(?:cover|back)s?|paper[\s-]?backs?|soft[\s-]?covers?|digital(?:ly)?|e-?books?"
        r"|kindle|epub|formats?|physical)\b"),
    ("genre",
        r"\b(?:what|which) (?:genre|kind of (?:manga|story|series))\b|\bgenres?\b"
        r"|\b(?:is|are) (?:it|that|this|they|those|these|\x01+) (?:a |an |too |very )?"
        r"(?:horror|romance|shou?nen|shou?jo|seinen|josei|comedy|scary|sad|funny|dark|violent|gory)\b"),
    ("language",
        r"\b(?:in|an?|the) (?:english|japanese|french|german|spanish|italian|korean|chinese|portuguese)\b"
        r"|\b(?:english|japanese|french|german|spanish|italian) (?:edition|version|copy|translation|copies"
        r"|volumes?|print)\b|\btranslat(?:ed|ion)\b|\bwhat languages?\b"),
    ("year",
        r"\b(?:what year|which year|how old is (?:it|that|this|\x01)|when (?:was|did) .{0,60}?(?:start"
        r"|begin|first|publish\w*|made|written|started|debut)|first published)\b"),
    ("reading_order",
        r"\b(?:reading order|what order|which order|where (?:do|should|to) (?:i )?start|read (?:first"
        r"|before)|start with (?:which|what)|which (?:one )?(?:comes )?first|do i need to read)\b"),
    ("product_id", r"\b(?:isbn|asin|product (?:id|number|code)|sku)\b"),
)  # fmt: skip
_KINDS: Final = (
    ("box_set", r"\bbox(?:ed)?[\s-]?sets?\b|\bthe box\b|\bbox \d\b|\x01 box\b|\bboxset\b"),
    ("deluxe", r"\bdeluxe\b"),
    (
        "omnibus",
        r"\bomnibus(?:es)?\b|\b[23][\s-]in[\s-]1\b|\bvizbig\b|\bcollector'?s editions?\b"
        r"|\bperfect editions?\b",
    ),
    ("digital", r"\bdigital(?:ly)?\b|\be-?books?\b|\bkindle\b|\bepub\b"),
    ("single", r"\bsingle volumes?\b|\bsingles\b|\bindividual volumes?\b"),
)
_FORMATS: Final = (
    ("hardcover", r"\bhard[\s-]?(?:cover|back)s?\b"),
    ("paperback", r"\bpaper[\s-]?backs?\b|\bsoft[\s-]?covers?\b"),
)
_LANGUAGES: Final = {
    "english": "en", "japanese": "ja", "french": "fr", "german": "de", "spanish": "es", "italian": "it",
    "korean": "ko", "chinese": "zh", "portuguese": "pt",
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """Aspects asked about, and the edition, format, language or state that was named."""

    aspects: tuple[Aspect, ...] = ()
    kind: str | None = None
    format: str | None = None
    language: str | None = None
    status: str | None = None
    anime: bool | None = None
    in_stock: bool | None = None


class AspectParser:
    """Reads aspects from folded text whose titles are masked."""

    def __init__(self) -> None:
        self._aspects = tuple((aspect, re.compile(pattern)) for aspect, pattern in _ASPECTS)
        self._kinds = tuple((kind, re.compile(pattern)) for kind, pattern in _KINDS)
        self._formats = tuple((name, re.compile(pattern)) for name, pattern in _FORMATS)
        names = "|".join(_LANGUAGES)
        self._language = re.compile(
            rf"\b(?:in|an?|the|only|any) ({names})\b|\b({names}) (?:edition|version|copy|copies"
            rf"|volumes?|print|language)"
        )
        self._finished = re.compile(
            r"\b(?:finished|completed?|ended|already over|concluded)\b(?! (?:reading|it|with))"
        )
        self._unfinished = re.compile(r"\b(?:ongoing|still (?:running|going|coming out))\b")
        self._reader_finished = re.compile(
            r"\b(?:i|i've|ive|just|we|my \w+|have|he|she|already) (?:just |already )?(?:finished|completed"
            r"|ended)\b|\bafter (?:finishing|i finished)\b"
        )
        self._anime = re.compile(
            r"\b(?:with (?:an |a good )?anime|has (?:an )?anime|have an anime|anime adaptation"
            r"|got an anime)\b"
        )
        self._no_anime = re.compile(
            r"\b(?:without (?:an )?anime|no anime|never (?:been )?adapted|not been adapted)\b"
        )
        self._in_stock = re.compile(r"\b(?:in stock|available now|ships? (?:now|today)|you have in stock)\b")

    def parse(self, masked: str) -> Asked:
        """Return what a folded, masked message asks about."""
        language = self._language.search(masked)
        status = None
        if self._finished.search(masked) and not self._reader_finished.search(masked):
            status = "finished"
        elif self._unfinished.search(masked):
            status = "ongoing"
        kind = _first(self._kinds, masked)
        return Asked(
            aspects=tuple(aspect for aspect, pattern in self._aspects if pattern.search(masked)),
            kind=kind,
            format=_first(self._formats, masked),
            language=_LANGUAGES[language[1] or language[2]] if language else None,
            status=status,
            anime=False if self._no_anime.search(masked) else True if self._anime.search(masked) else None,
            in_stock=True if self._in_stock.search(masked) else None,
        )


def _first(patterns: tuple[tuple[str, re.Pattern[str]], ...], text: str) -> str | None:
    return next((name for name, pattern in patterns if pattern.search(text)), None)
