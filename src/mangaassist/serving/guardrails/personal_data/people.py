"""Names of people: by what introduces them, by gazetteer, and by the endings of family names."""

from __future__ import annotations

import re
from typing import Literal, NamedTuple

import re2

from mangaassist.serving.guardrails.personal_data.name_lists import NameLists, fold

_WORD = re.compile(r"[^\W\d_][\w\ufeff]*(?:['’-]\w+)*\.?")
_HONORIFICS = frozenset(
    {
        "mr",
        "mrs",
        "ms",
        "miss",
        "mx",
        "dr",
        "prof",
        "professor",
        "sir",
        "madam",
        "mme",
        "herr",
        "frau",
        "senor",
    }
)
_PARTICLES = frozenset(
    {
        "de",
        "da",
        "do",
        "dos",
        "del",
        "della",
        "di",
        "du",
        "van",
        "von",
        "der",
        "den",
        "el",
        "al",
        "bin",
        "ibn",
    }
    | {"la", "le", "ten", "ter", "o", "st"}
)
_STRONG_CUE = re2.compile(
    r"(?i)\b(?:my (?:full |last |first |maiden )?name(?: is|'s|’s|:)|(?:maiden |her |his |user)?name is|name:"
    r"|named (?:him|her)|i am called|(?:attn|attention|c/o|recipient|customer|cardholder|contact person)[:.]"
    r"|(?:ship|send|deliver|sent|mail|address(?:ed)?|delivered) (?:it |this |them |that |the order )?to"
    r"|(?:account|card|order) (?:is |holder )?(?:under|in the name of|of)|on behalf of|under the name(?: of)?"
    r"|signed|sincerely|(?:kind |best |warm )?regards|yours truly|please change it to|made out to|billed to"
    r"|(?:billing|shipping) address:),?[ \n]+"
)
_WEAK_CUE = re2.compile(
    r"(?i)\b(?:this is|i['’]m|i am|dear|hi|hello|hey|contact|asked for|ask for|speak (?:to|with)"
    r"|talk(?:ed)? (?:to|with)|shouted at|said|says|told|was called|follow up with|assistant to|listed as"
    r"|belong(?:s|ing) to|add|meet|heard|employee|developer|customer|officer|manager|user|friend|brother"
    r"|sister|mother|father|wife|husband|son|daughter|colleague|neighbou?r),?[ \n]+"
)
_FAMILY_ENDING = re.compile(
    r"(?:[a-z]{2,}(?:ovic|evic|avic|ojevic|nic|cic|kic|sic|jic|lic|ric|vic|zic)"
    r"|[a-z]{3,}(?:ova|eva|yeva|ska|skaya|enko|chuk|czyk|wicz|ski|sky|skiy|escu|idis|akis|poulos|shvili|dze)"
    r"|[a-z]{3,}(?:sen|sson|dottir|strom|quist|qvist|gaard|berg|borg|dahl|lund|mann|stein|feld|bauer|meier|maier)"
    r"|[a-z]{3,}(?:yan|ian|oglu|inen|onen|anen|maki|ez|yev|ov|ev|off|eff|in|ayev)"
    r"|mac[a-z]{3,}|mc[a-z]{3,}|o['’][a-z]{3,})\Z"
)
_ENDING_TOO_WEAK = re.compile(r"(?:ez|in|ian|ev|ov|yan|nic|ric|vic|lic|sky|sen|berg|borg|stein|ska)\Z")


_Cue = Literal["strong", "weak"]


class _Token(NamedTuple):
    start: int
    end: int
    text: str
    folded: str
    capital: bool

    @property
    def initial(self) -> bool:
        return self.capital and len(self.folded) == 1


class PeopleRecogniser:
    """Finds names of people in running text."""

    def __init__(self, names: NameLists) -> None:
        self._given = names.given
        self._family = names.family
        self._sure_given = names.given - names.ambiguous - names.stop
        self._ambiguous = names.ambiguous
        self._stop = names.stop
        self._organisations = names.organisations
        self._places = names.places

    def find(self, text: str, *, contact_sheet: bool = False) -> list[tuple[int, int]]:
        """Return offsets of names; on a contact sheet a first line of capitalised words is one."""
        tokens = _tokens(text)
        if not tokens:
            return []
        taken: list[tuple[int, int]] = []
        introduced = _introduced(text)
        sure = self._sure_given
        behind = 0
        for index, token in enumerate(tokens):
            # most words are neither capitalised nor a given name nor introduced as one
            if index < behind or not (token.capital or token.folded in sure or token.start in introduced):
                continue
            end = self._name_at(text, tokens, index, introduced.get(token.start))
            if end > index:
                taken.append(_offsets(tokens, index, end))
                behind = end
        if contact_sheet and (heading := self._heading(text, tokens)) and heading not in taken:
            taken.append(heading)
        return taken

    def _name_at(self, text: str, tokens: list[_Token], index: int, cue: _Cue | None) -> int:
        """Return behind which token a name that begins at `index` ends; `index` for none."""
        token = tokens[index]
        if token.folded in _HONORIFICS:
            return index
        honoured = index > 0 and self._is_honorific(text, tokens, index)
        if honoured or cue == "strong":
            return self._after_introduction(text, tokens, index, honoured=honoured)
        if not token.capital:
            return self._lower_case_name(text, tokens, index)
        end = self._run(text, tokens, index)
        if end == index or self._is_organisation(text, tokens, end) or token.folded in self._places:
            return index
        size = end - index
        if size == 1:
            return end if self._alone_is_name(text, tokens, index, cue) else index
        return end if self._together_are_name(tokens, index, end, cue) else index

    def _is_honorific(self, text: str, tokens: list[_Token], index: int) -> bool:
        before = tokens[index - 1]
        return before.folded in _HONORIFICS and text[before.end : tokens[index].start].strip(" .") == ""

    def _after_introduction(self, text: str, tokens: list[_Token], index: int, *, honoured: bool) -> int:
        token = tokens[index]
        if token.capital:
            end = self._run(text, tokens, index)
            return index if token.folded in self._stop or self._is_organisation(text, tokens, end) else end
        known = token.folded in self._given or token.folded in self._family
        if token.folded in self._stop or not (known or (honoured and len(token.folded) > 2)):
            return index
        end = index + 1
        while end < len(tokens) and end < index + 3 and _adjacent(text, tokens, end):
            if not (self._is_family(tokens[end]) or tokens[end].folded in self._given):
                break
            end += 1
        return end

    def _lower_case_name(self, text: str, tokens: list[_Token], index: int) -> int:
        """Names written small: a given name right before a family name, at most an initial between."""
        if tokens[index].folded not in self._sure_given:
            return index
        second = index + 1
        if second < len(tokens) and len(tokens[second].folded) == 1 and _adjacent(text, tokens, second):
            second += 1
        if (
            second >= len(tokens)
            or not _adjacent(text, tokens, second)
            or tokens[second].folded in self._stop
        ):
            return index
        token = tokens[second]
        if self._is_family(token) or token.folded in self._sure_given:
            return second + 1
        return second + 1 if second > index + 1 and len(token.folded) > 3 else index

    def _run(self, text: str, tokens: list[_Token], index: int) -> int:
        """Return behind which token the capitalised words end that can be one name."""
        end = index
        while end < len(tokens) and end < index + 4 and (end == index or _adjacent(text, tokens, end)):
            token = tokens[end]
            if end > index and tokens[end - 1].text.endswith(".") and not tokens[end - 1].initial:
                break
            joined = token.folded in _PARTICLES and end > index and end + 1 < len(tokens)
            if joined and tokens[end + 1].capital and _adjacent(text, tokens, end + 1):
                end += 1
            elif not token.capital or token.folded in self._stop or token.folded in _HONORIFICS:
                break
            else:
                end += 1
        while end > index and tokens[end - 1].initial:
            end -= 1
        return end

    def _alone_is_name(self, text: str, tokens: list[_Token], index: int, cue: _Cue | None) -> bool:
        token = tokens[index]
        if len(token.folded) < 3 or token.folded in self._stop:
            return False
        before = tokens[index - 1].folded if index and _adjacent(text, tokens, index) else ""
        if before in ("in", "at", "near", "from", "of", "the", "to", "san", "santa"):
            return before in ("of", "from", "to") and token.folded in self._sure_given
        if token.folded in self._sure_given:
            return True
        if cue == "weak":
            return token.folded in self._given or (
                self._is_family(token) or _sentence_before(text, token.start) in ("hi", "dear", "hello")
            )
        return _strong_ending(token.folded)

    def _together_are_name(self, tokens: list[_Token], index: int, end: int, cue: _Cue | None) -> bool:
        run = tokens[index:end]
        if any(token.folded in self._organisations for token in run) or any(
            token.text.isupper() and len(token.text) > 3 for token in run
        ):
            return False
        if cue == "weak":
            return True
        first, last = run[0], run[-1]
        if first.folded in self._given or _strong_ending(last.folded):
            return True
        if any(token.initial for token in run[1:-1]):
            return True
        return any(token.folded in self._sure_given for token in run) or (
            last.folded in self._family and first.folded not in self._ambiguous and not first.text.isupper()
        )

    def _is_family(self, token: _Token) -> bool:
        return token.folded in self._family or _FAMILY_ENDING.match(token.folded) is not None

    def _is_organisation(self, text: str, tokens: list[_Token], end: int) -> bool:
        following = tokens[end].folded if end < len(tokens) and _adjacent(text, tokens, end) else ""
        return following in self._organisations

    def _heading(self, text: str, tokens: list[_Token]) -> tuple[int, int] | None:
        line = text.partition("\n")[0].strip()
        first = [token for token in tokens if token.end <= len(line)]
        if not 2 <= len(first) <= 4 or len(line) > 40 or any(character.isdigit() for character in line):
            return None
        if any(token.folded in self._stop or token.folded in self._organisations for token in first):
            return None
        if first[0].folded in _HONORIFICS:
            first = first[1:]
        return _offsets(tokens, tokens.index(first[0]), tokens.index(first[-1]) + 1)


def _introduced(text: str) -> dict[int, _Cue]:
    """Return at which offsets a word follows what introduces a name, and how surely."""
    found: dict[int, _Cue] = {match.end(): "weak" for match in _WEAK_CUE.finditer(text)}
    found.update((match.end(), "strong") for match in _STRONG_CUE.finditer(text))
    return found


def _tokens(text: str) -> list[_Token]:
    found: list[_Token] = []
    for match in _WORD.finditer(text):
        word = match.group()
        start, end = match.span()
        bare = word
        if word[-1] == ".":
            bare = word[:-1]
            end -= 1
        if bare[-2:] in ("'s", "’s"):
            bare = bare[:-2]
            end -= 2
        if bare:
            folded = bare.lower() if bare.isascii() else fold(bare)
            found.append(_Token(start, end, word, folded, word[0].isupper()))
    return found


def _adjacent(text: str, tokens: list[_Token], index: int) -> bool:
    """Whether a token follows the one before it with nothing but a space (or an initial's point) between."""
    gap = text[tokens[index - 1].end : tokens[index].start]
    return gap in (" ", "\xa0", "  ", ". ")


def _offsets(tokens: list[_Token], first: int, last: int) -> tuple[int, int]:
    return tokens[first].start, tokens[last - 1].end


def _strong_ending(folded: str) -> bool:
    return _FAMILY_ENDING.match(folded) is not None and _ENDING_TOO_WEAK.search(folded) is None


def _sentence_before(text: str, position: int) -> str:
    return text[max(0, position - 12) : position].strip(" ,\n").rpartition(" ")[2].lower()
