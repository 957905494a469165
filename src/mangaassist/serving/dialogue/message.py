"""One message on its own: everything it says, before the conversation is considered."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from mangaassist.domain.catalog import Series
from mangaassist.domain.dialogue import Constraints
from mangaassist.serving.dialogue.aspects import Asked, AspectParser
from mangaassist.serving.dialogue.authors import AuthorIndex, NamedAuthors
from mangaassist.serving.dialogue.quantities import TITLE_MARK, Quantities, QuantityParser
from mangaassist.serving.dialogue.references import ReferenceParser, References
from mangaassist.serving.dialogue.tastes import TasteParser, Tastes
from mangaassist.serving.dialogue.text import MAX_READ_CHARS, Token, Tokenizer, fold
from mangaassist.serving.dialogue.titles import Mention, TitleLexicon, ordinary_words
from mangaassist.serving.dialogue.unknown_titles import UnknownTitleDetector
from mangaassist.serving.dialogue.words import EVERYDAY

LIKED_BEFORE: Final = (
    r"(?:\blike|\bsimilar to|\b(?:vein|style|spirit|lines|feel|mood|fans?|readers?) of"
    r"|\breminds? me of|\b(?:same|closer) \w+ as"
    r"|\b(?:enjoyed|loved|liked|adored|love|enjoy|liking|loving)|\bafter(?: reading| finishing)?"
    r"|\b(?:just|i) finished|\balternatives? to"
    r"|\bclosest to|\bfor a fan of|\bas \w+ as|\bmatch(?:es)?)\s+(?:the |all of |reading |watching "
    r"|manga |of |both |that )*$"
)
REFUSED_BEFORE: Final = (
    r"(?:\bnot(?: like)?|\bexcept(?: for)?|\bbesides|\bother than|\bapart from|\banything but|\bisn'?t"
    r"|\bhated|\b(?:didn'?t|don'?t) (?:like|want)"
    r"|\b(?:already|i'?ve|have|i) (?:already )?(?:read|own|owned|got|have|seen)"
    r"|\balready (?:have|has|owns))\s+(?:the |all of |of )*$"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """What one message says: `named` series are asked about, `liked` and `refused` ones give a taste."""

    text: str
    masked: str
    tokens: tuple[Token, ...]
    mentions: tuple[Mention, ...]
    named: tuple[str, ...]
    liked: tuple[str, ...]
    refused: tuple[str, ...]
    authors: NamedAuthors
    quantities: Quantities
    tastes: Tastes
    asked: Asked
    references: References
    unknown_title: str | None

    def constraints(self) -> Constraints:
        """Return what the message itself asks for."""
        wanted, unwanted, numbers, asked = (
            self.tastes.wanted,
            self.tastes.unwanted,
            self.quantities,
            self.asked,
        )
        return Constraints(
            genres=wanted.genres,
            themes=wanted.themes,
            moods=wanted.moods,
            exclude_genres=unwanted.genres,
            exclude_themes=unwanted.themes,
            exclude_moods=unwanted.moods,
            demographic=wanted.demographic,
            max_price_usd=numbers.max_price_usd,
            min_price_usd=numbers.min_price_usd,
            reader_age=numbers.reader_age,
            status=asked.status,
            max_volumes=numbers.max_volumes,
            min_volumes=numbers.min_volumes,
            kind=asked.kind,
            format=asked.format,
            language=asked.language,
            anime=asked.anime,
            in_stock=asked.in_stock,
            year_from=numbers.year_from,
            year_to=numbers.year_to,
            authors=self.authors.wanted,
            like_series=self.liked,
            not_series=self.refused,
        )


class MessageParser:
    """Reads messages in the words of one catalogue; immutable, so a new one may take its place at any time.

    `texts` are the store's other texts (articles): their words are ordinary language, not titles.
    """

    def __init__(self, series: Sequence[Series], texts: Iterable[str] = ()) -> None:
        self._tokenizer = Tokenizer()
        words = ordinary_words(series, texts)
        self.titles = TitleLexicon(series, tokenizer=self._tokenizer, ordinary_words=words)
        self.authors = AuthorIndex(series, self._tokenizer, words)
        self._tastes = TasteParser(series, self._tokenizer)
        self._quantities = QuantityParser()
        self._aspects = AspectParser()
        self._references = ReferenceParser()
        self._unknown_titles = UnknownTitleDetector(
            lambda word: (
                word in words or word.rstrip("s") in words or word in EVERYDAY or self._tastes.knows(word)
            )
        )
        self._liked_before = re.compile(LIKED_BEFORE)
        self._refused_before = re.compile(REFUSED_BEFORE)
        self._liked_after = re.compile(r"^(?:'s)?[\s-]*(?:fans?|readers?|lovers?|like|esque|vibes?|ish)\b")
        self._joins = re.compile(r"^[\s,]*(?:and|or|,|&|/|vs\.?|versus|then)?[\s,]*(?:the\s+)?$")

    def parse(self, text: str, *, in_talk: Collection[str], this_year: int) -> Message:
        """Read one message; `in_talk` are the series that the conversation is about."""
        text = text[:MAX_READ_CHARS]
        folded = fold(text)
        tokens = self._tokenizer.tokens(folded)
        mentions = self.titles.find(text, tokens, in_talk=in_talk)
        masked = _mask(folded, mentions)
        in_titles = {
            index
            for index, token in enumerate(tokens)
            if any(mention.start <= token.start < mention.end for mention in mentions)
        }
        authors = self.authors.find(tokens, titles=in_titles)
        named, liked, refused = self._roles(masked, mentions)
        for author in authors.unwanted:
            refused = (*refused, *self.authors.works_of(author))
        unknown = None
        if not mentions and not authors.tokens:
            unknown = self._unknown_titles.find(text, folded, tokens)
        return Message(
            text=text,
            masked=masked,
            tokens=tuple(tokens),
            mentions=tuple(mentions),
            named=named,
            liked=liked,
            refused=refused,
            authors=authors,
            quantities=self._quantities.parse(masked, this_year=this_year),
            tastes=self._tastes.parse(folded, tokens, titles=in_titles | authors.tokens),
            asked=self._aspects.parse(masked),
            references=self._references.parse(masked),
            unknown_title=unknown,
        )

    def likes_before(self, masked: str, place: int) -> bool:
        """Tell whether the words up to `place` say "like": "more like [the first]"."""
        return self._liked_before.search(masked, 0, place) is not None

    def _roles(
        self, masked: str, mentions: Sequence[Mention]
    ) -> tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]:
        named: list[str] = []
        liked: list[str] = []
        refused: list[str] = []
        role, previous_end = named, 0
        for mention in mentions:
            before = masked[previous_end : mention.start]
            if self._refused_before.search(before):
                role = refused
            elif self._liked_before.search(before) or self._liked_after.search(
                masked[mention.end : mention.end + 12]
            ):
                role = liked
            elif previous_end == 0 or not self._joins.match(before):
                role = named
            role += [one for one in mention.series_ids if one not in role]
            previous_end = mention.end
        return tuple(named), tuple(liked), tuple(refused)


def _mask(folded: str, mentions: Sequence[Mention]) -> str:
    for mention in mentions:
        folded = folded[: mention.start] + TITLE_MARK * (mention.end - mention.start) + folded[mention.end :]
    return folded
