"""The sentences of a passage that answer a question, quoted verbatim and in their own order."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from mangaassist.adapters.embedded.composer.phrasing import sentences
from mangaassist.adapters.embedded.composer.word_lists import FUNCTION_WORDS
from mangaassist.domain.grounding import Passage

_TOKEN = re.compile(r"\$?\d[\d,.]*\+?|[a-z']+")
# words that shoppers and the written rules use for the same thing
_SYNONYMS = (
    ("ship", "shipping", "shipment", "deliver", "delivery", "postage", "send", "sent", "post", "mail"),
    ("cost", "costs", "price", "fee", "charge", "expensive", "pay", "pays"),
    ("refund", "money", "reimburse", "refunded", "back"),
    ("return", "returns", "returned"),
    ("cancel", "cancelled", "cancellation", "stop"),
    ("card", "visa", "mastercard", "credit", "debit"),
    ("declined", "refused", "rejected", "failed", "decline"),
    ("code", "coupon", "promo", "voucher"),
    ("discount", "cheaper", "off", "deal", "offer", "sale"),
    ("parcel", "package", "box"),
    ("damaged", "bent", "torn", "broken", "crushed", "dented", "scuffed", "soaked", "damage"),
    ("preorder", "preorders", "pre-order"),
    ("ebook", "digital", "e-book"),
    ("human", "person", "people", "agent", "somebody"),
    ("member", "members", "club", "membership"),
    ("exchange", "swap", "replace", "replacement"),
    ("address", "moved"),
    ("us", "usa", "america", "states"),
    ("opened", "unsealed", "unwrapped", "open"),
)
_SYNONYM_OF = {word: group[0] for group in _SYNONYMS for word in group}
_MONEY = re.compile(r"\$\d")
_PERIOD = re.compile(
    r"\d[\d–-]*\s+(?:business\s+)?(?:day|hour|week|month|minute|year)s?\b|\d\s*[ap]\.m\.", re.IGNORECASE
)
_ASKS_AMOUNT = re.compile(
    r"\b(?:how much|price|costs?|fee|expensive|free|charge|minimum|threshold)\b", re.IGNORECASE
)
_ASKS_TIME = re.compile(
    r"\b(?:how long|when|how many (?:days|weeks)|days?|time|fast|soon|deadline|until|hours?)\b", re.IGNORECASE
)
_LEANS_BACK = re.compile(
    r"(?:It|They|This|That|These|Those|Then|Both|Each|You then|Otherwise|After that|Also|But|And|Until then|"
    r"Times are|So|Its|Their|Such|If not|If we hear)\b"
)
_SELECT_RATIO = 0.4
_CUE_BONUS = 1.2
_RANK_PRIOR = 0.6
_TITLE_SHARE = 0.5
# an article answers its title first
_ANSWER_BONUS = (1.0, 0.5, 0.3)
CLOSE_ENOUGH = 0.45


@dataclass(frozen=True, slots=True, kw_only=True)
class Extract:
    """Verbatim sentences of one passage; `coverage` is the share of the question they speak to."""

    passage: Passage
    sentences: tuple[str, ...]
    coverage: float

    @property
    def text(self) -> str:
        """The sentences as one text."""
        return " ".join(self.sentences)


def extract(
    question: str, passages: Sequence[Passage], *, max_words: int, max_sentences: int = 3, steps: bool = False
) -> Extract | None:
    """Return the best answer from a single passage, so that rules are never mixed; None without passages.

    With `steps` the passage is quoted from its beginning as far as it goes, for help that comes in steps.
    """
    quotable = [(passage, body) for passage in passages if (body := body_of(passage))]
    if not quotable:
        return None
    wanted = terms(question)
    weights = _weights(wanted, [sentence for _, body in quotable for sentence in body])
    passage, body = max(
        enumerate(quotable), key=lambda entry: _fit(wanted, weights, passage=entry[1][0], rank=entry[0])
    )[1]
    coverage = _coverage(wanted, weights, passage.text)
    if steps or coverage < CLOSE_ENOUGH:
        chosen = _beginning(body, max_words=max_words, max_sentences=max_sentences if steps else 2)
    else:
        scores = [_score(question, wanted, weights, sentence=sentence) for sentence in body]
        for index, bonus in enumerate(_ANSWER_BONUS[: len(body)]):
            scores[index] += bonus
        chosen = _select(scores, body=body, max_words=max_words, max_sentences=max_sentences)
    return Extract(passage=passage, sentences=chosen, coverage=coverage)


def body_of(passage: Passage) -> list[str]:
    """Return the sentences of a passage without its title and without the questions it is found by."""
    title = passage.title.strip().rstrip("?.!").casefold()
    return [
        sentence
        for sentence in _with_short_replies(sentences(passage.text))
        if sentence.rstrip('”"’)').endswith((".", "!"))
        and sentence.strip().rstrip("?.!").casefold() != title
        and not sentence[0].islower()
    ]


def _with_short_replies(pieces: list[str]) -> list[str]:
    """Join a bare `Yes.` or `No.` to the sentence that explains it."""
    if len(pieces) > 1 and pieces[0] in ("Yes.", "No."):
        return [f"{pieces[0]} {pieces[1]}", *pieces[2:]]
    return pieces


def terms(text: str) -> frozenset[str]:
    """Return the content words of a text in a form that inflection and synonyms do not change."""
    return frozenset(
        _normal(token) for token in _TOKEN.findall(text.casefold()) if token not in FUNCTION_WORDS
    )


@lru_cache(maxsize=8_192)
def _normal(token: str) -> str:
    word = token.strip("'.,")
    if word in _SYNONYM_OF:
        return _SYNONYM_OF[word]
    for ending, kept in (("ies", "y"), ("ing", ""), ("ed", ""), ("es", ""), ("s", "")):
        if word.endswith(ending) and len(word) - len(ending) >= 3:
            return word[: -len(ending)] + kept
    return word.rstrip("e") if len(word) > 4 else word


def _weights(wanted: frozenset[str], everything: Sequence[str]) -> dict[str, float]:
    frequency = Counter(term for sentence in everything for term in terms(sentence) & wanted)
    return {term: math.log((len(everything) + 1) / (frequency[term] + 0.5)) + 0.1 for term in wanted}


def _fit(wanted: frozenset[str], weights: dict[str, float], *, passage: Passage, rank: int) -> float:
    """Return how likely a passage is the right one, retrieval's own order included."""
    in_title = _TITLE_SHARE * _coverage(wanted, weights, passage.title)
    return _coverage(wanted, weights, passage.text) + in_title + _RANK_PRIOR / (1 + rank)


def _coverage(wanted: frozenset[str], weights: dict[str, float], text: str) -> float:
    """Return the share of the question's weight whose words the text has."""
    total = sum(weights.values())
    return sum(weights[term] for term in terms(text) & wanted) / total if total else 0.0


def _beginning(body: list[str], *, max_words: int, max_sentences: int) -> tuple[str, ...]:
    count = 1
    while count < min(len(body), max_sentences) and _words(body, set(range(count + 1))) <= max_words:
        count += 1
    return tuple(body[:count])


def _select(
    scores: Sequence[float], *, body: list[str], max_words: int, max_sentences: int
) -> tuple[str, ...]:
    ranking = sorted(range(len(body)), key=lambda index: -scores[index])
    best = scores[ranking[0]]
    chosen: set[int] = set()
    for index in ranking:
        if scores[index] < _SELECT_RATIO * best:
            break
        group = {index}
        while min(group) > 0 and _LEANS_BACK.match(body[min(group)]):
            group.add(min(group) - 1)
        together = chosen | group
        if len(together) > max_sentences or _words(body, together) > max_words:
            continue
        chosen = together
    if not chosen:
        chosen = {ranking[0]}
    return tuple(body[index] for index in sorted(chosen))


def _score(question: str, wanted: frozenset[str], weights: dict[str, float], *, sentence: str) -> float:
    score = sum(weights[term] for term in terms(sentence) & wanted)
    if _MONEY.search(sentence) and _ASKS_AMOUNT.search(question):
        score += _CUE_BONUS
    if _PERIOD.search(sentence) and _ASKS_TIME.search(question):
        score += _CUE_BONUS
    return score


def _words(body: list[str], indexes: set[int]) -> int:
    return sum(len(body[index].split()) for index in indexes)
