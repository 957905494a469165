"""How a message leans on the conversation: ordinals, pronouns, comparatives, corrections, new topics."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final, Literal

from mangaassist.domain.dialogue import Cue

Pick = Literal["cheapest", "priciest", "shortest", "longest", "other", "newest", "oldest"]
Direction = Literal["cheaper", "dearer", "shorter", "longer", "newer", "older"]

_ORDINALS: Final = {
    "first": 1, "1st": 1, "second": 2, "2nd": 2, "third": 3, "3rd": 3, "fourth": 4, "4th": 4,
    "fifth": 5, "5th": 5,
    "one": 1, "two": 2, "three": 3, "last": -1, "latter": -1, "former": 1, "top": 1,
}  # fmt: skip
_CUES: Final[tuple[tuple[Cue, str], ...]] = (
    ("correction",
        r"^(?:no+|nope|nah|sorry|oops|wait|actually|hm+|ah"
        r"|oh)?[,.! ]*(?:no[, ]+)?(?:sorry[, ]+)?(?:i (?:actually )?(?:meant|mean)|not (?:that"
        r"|this) one[, ]+i|make (?:it|that)|i was (?:thinking|talking) (?:of|about))\b|^(?:actually"
        r"|correction|rather)\b|\bi meant\b|\bchange (?:that|it) to\b"),
    ("refusal",
        r"\b(?:not (?:that|this|the|those|these)(?: (?:one|ones|first|second|third|last"
        r"|series))?\b(?! (?:good|bad|much|many|expensive|long|sure))|(?:already|have) (?:read|own|owned"
        r"|got|have|seen)(?: (?:that|it|those|them|all))|(?:i|i've|ive) (?:already )?(?:read|own|seen"
        r"|know) (?:that|it|those|them|this|the)|not my thing|(?:don't|dont|didn't|didnt) (?:like"
        r"|want) (?:that|it|this|those|them|the)|next(?: one)? please|^next$|none of (?:those|these|them)"
        r"|(?:something|anything) (?:else|different))"),
    ("another",
        r"\b(?:another(?: one)?|one more|(?:any|some|a few|two|three) (?:others?|more)(?! (?:volumes"
        r"|info))|anything else|something else|what else|more (?:like (?:this|that|these|those)|please"
        r"|suggestions|options|recommendations|recs)|different one|others)\b|^(?:more|else|next)\b"),
    ("compare",
        r"\b(?:compare[ds]?|comparison|versus|vs|difference between|differ)\b|\b(?:which|what|who)(?:'s"
        r"| is| one is| would be|s)? (?:better|best|shorter|longer|cheaper|darker|funnier|closer|scarier"
        r"|more)\b"),
    ("new_topic",
        r"\b(?:different (?:topic|question|subject|thing)|new (?:topic|question|subject)"
        r"|change of (?:topic|subject)|chang(?:e|ing) (?:the )?(?:topic|subject)"
        r"|something completely different|other question|another question|unrelated|start over|start again"
        r"|forget (?:all|everything|it|about (?:that|it)))\b"),
    ("back_to_topic",
        r"\b(?:back to|returning to|as for|regarding|about) (?:the |my |that |those |your )?(?:manga"
        r"|recommendations?|series|books?|list|suggestions?|titles?|horror|romance|gift|search)\b"
        r"|\bback to\b|\bwhere were we\b|\b(?:you|u) (?:recommended|suggested|mentioned|listed|showed)\b"),
    ("request",
        r"\b(?:recommend\w*|reccomend\w*|recomend\w*|suggest\w*|recs?|looking for|look for|i want|i'd like"
        r"|i need|want to read|wanna read|what should i|what do you have|give me|show me|find me|any good"
        r"|anything|something|got any|have any|osusume|help me (?:pick|find|choose)|ideas?|good manga"
        r"|best manga|a manga|some manga|surprise me|in the mood for)\b"),
    ("plural",
        r"\b(?:them|those|these|both|they|all of (?:them|those|these)|each(?: of)?|which (?:one|of)|either"
        r"|any of (?:them|those|these)|(?:the|these|those) (?:two|three|ones)|their)\b"),
    ("page",
        r"\bthis(?: (?:one|book|manga|volume|series|item|product|title|edition|set|comic))?\b(?! (?:week"
        r"|month|year|time|morning|evening|weekend|store|shop|site|chat|code|order|is (?:a|my)))"),
    ("pronoun",
        r"\b(?:(?<!make )(?<!is )it(?! (?:possible|safe|true|says?))|(?<=is )it(?! (?:possible|safe to"
        r"|true|ok to))|its|it's|(?<!to )(?<!for )the (?:series|manga|book|title|story)|same one"
        r"|that (?:one|series|manga|book|title|volume|set)|(?:is|was|does|did|for|of|about|read|like"
        r"|has) that)\b|\bthat\W*$|^that(?:'s|s)?\b"),
    ("elliptical",
        r"^(?:and|or|but|what about|how about|also|ok(?:ay)?(?: so| and| but)?|so|then|in|with|without|for"
        r"|as|on|not|no|less|more|too|any|something|under|below|instead|also|same|actually|only|just|even"
        r"|preferably|maybe|hm+)\b"),
    ("mature", r"\b(?:18\+|adults? only|for adults|for an adult|mature|explicit|uncensored|nsfw|r-?rated)\b"),
    ("other_reader", r"\bfor (?:my|her|his|our|their)\b"),
    (
        "own_reading",
        r"\bfor (?:me|myself)\b|\bfor my (?:wife|husband|mom|mum|dad|mother|father|boss|girlfriend"
        r"|boyfriend|partner|coworker)\b",
    ),
    ("general",
        r"\b(?:orders?|ordered|package|parcel|shipping|ship|shipped|delivery|deliver\w*|tracking|returns?"
        r"|returned|returning|refund\w*|exchange|coupons?|promo\w*|discount\w*|voucher|deals?|sale"
        r"|checkout|check out|payment|pay|paying|card|points|membership|member|account|password|cart"
        r"|basket|invoice|gift ?card|gift ?wrap\w*|store hours|opening hours|customer service|human|agent"
        r"|complain\w*|club)\b"),
)  # fmt: skip
_DIRECTIONS: Final[tuple[tuple[Direction, str], ...]] = (
    (
        "cheaper",
        r"\b(?:cheaper|less expensive|lower price|more affordable|less pricey|too (?:expensive|pricey"
        r"|much money|dear))\b",
    ),
    ("dearer", r"\b(?:more expensive|pricier|fancier|more premium)\b"),
    (
        "shorter",
        r"\b(?:shorter|fewer volumes|less volumes|not (?:so|as|that) long|too long|too many volumes)\b",
    ),
    ("longer", r"\b(?:longer|(?<!many )more volumes|too short|not (?:so|as|that) short)\b"),
    ("newer", r"\b(?:newer|more recent|too old|more modern)\b"),
    ("older", r"\b(?:(?:anything|something|one|but|an?) older|more classic|too new)\b"),
)
_PICKS: Final[tuple[tuple[Pick, str], ...]] = (
    ("cheapest", r"\bthe cheap(?:er|est)(?: one)?\b|\bcheapest one\b"),
    ("priciest", r"\bthe (?:more|most) expensive(?: one)?\b"),
    ("shortest", r"\bthe short(?:er|est)(?: one)?\b"),
    ("longest", r"\bthe long(?:er|est)(?: one)?\b"),
    ("newest", r"\bthe new(?:er|est) one\b"),
    ("oldest", r"\bthe old(?:er|est) one\b"),
    ("other", r"\bthe other(?: one)?\b"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class References:
    """The cues of one message; `ordinal` counts from 1, -1 is the last; spans are character offsets."""

    cues: frozenset[Cue] = frozenset()
    ordinals: tuple[int, ...] = ()
    pick: Pick | None = None
    direction: Direction | None = None
    span: tuple[int, int] | None = None
    order_ids: tuple[str, ...] = ()
    product_ids: tuple[str, ...] = ()


class ReferenceParser:
    """Reads references from folded text whose titles are masked."""

    def __init__(self) -> None:
        self._cues = tuple((cue, re.compile(pattern)) for cue, pattern in _CUES)
        self._directions = tuple((name, re.compile(pattern)) for name, pattern in _DIRECTIONS)
        self._picks = tuple((name, re.compile(pattern)) for name, pattern in _PICKS)
        words = "first|1st|second|2nd|third|3rd|fourth|4th|fifth|5th|last|latter|former|top"
        self._ordinal = re.compile(
            rf"\b(?:the|your|that|this|and|or|like) ({words})\b(?: (?:one|title|series|manga|pick"
            rf"|suggestion|recommendation|option))?"
            r"(?! (?:vol|volume|book|part|tankobon|time|order|name|chapter|two|three|few|arc|season"
            r"|purchase|print|\d))"
            rf"|\b({words}) one\b|\bnumber (one|two|three|\d)\b|^({words})$|\boption (\d)\b"
        )
        self._order_id = re.compile(r"\b(\d{3})[\s-]?(\d{7})[\s-]?(\d{7})\b")
        self._product_id = re.compile(r"\b(b0[0-9a-z]{8}|\d{9}[\dx])\b")

    def parse(self, masked: str) -> References:
        """Return the references of a folded, masked message."""
        cues = {cue for cue, pattern in self._cues if pattern.search(masked)}
        ordinals, span = self._ordinals(masked)
        pick = next((name for name, pattern in self._picks if pattern.search(masked)), None)
        direction = next((name for name, pattern in self._directions if pattern.search(masked)), None)
        if ordinals or pick:
            cues.add("ordinal")
        if direction:
            cues.add("comparative")
        order_ids = tuple("-".join(match.groups()) for match in self._order_id.finditer(masked))
        without_orders = self._order_id.sub(" ", masked) if order_ids else masked
        return References(
            cues=frozenset(cues),
            ordinals=ordinals,
            pick=pick,
            direction=direction,
            span=span,
            order_ids=tuple(dict.fromkeys(order_ids)),
            product_ids=tuple(match[1].upper() for match in self._product_id.finditer(without_orders)),
        )

    def _ordinals(self, text: str) -> tuple[tuple[int, ...], tuple[int, int] | None]:
        found: list[int] = []
        span: tuple[int, int] | None = None
        for match in self._ordinal.finditer(text):
            word = next(group for group in match.groups() if group)
            found.append(_ORDINALS[word] if word in _ORDINALS else max(1, int(word)))
            span = span or match.span()
        return tuple(dict.fromkeys(found)), span
