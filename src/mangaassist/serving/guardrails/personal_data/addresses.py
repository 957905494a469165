"""Street addresses by their structure, in the ways of several countries."""

from __future__ import annotations

import re

import re2

_L = r"[A-Za-z\x{c0}-\x{1fff}]"
_W = rf"{_L}[A-Za-z0-9\x{{c0}}-\x{{1fff}}.'’-]*"
_NUMBER = r"\d{1,6}[A-Za-z]?"
_END = r"(?:[^A-Za-z\x{c0}-\x{1fff}]|\z)"
_TYPE = (
    r"street|st|avenue|ave|road|rd|lane|ln|drive|dr|boulevard|blvd|court|ct|place|pl|square|sq|terrace|ter|way|crescent"
    r"|cres|circle|cir|parkway|pkwy|highway|hwy|close|row|mews|walk|trail|trl|plaza|alley|loop|ridge|grove|gardens"
    r"|points|mills|crossing|heights|ports|corners|quay"
)
_BEFORE_NAME = (
    r"rue|avenue|boulevard|bd|quai|chemin|route|impasse|allée|via|viale|piazza|corso|largo|vicolo|calle|avda\.?|avenida"
    r"|plaza|paseo|carretera|camino|rúa|rua|estrada|travessa|praça|alameda|ul\.|ulica|ulice|aleja|al\.|trg|náměstí"
    r"|nám\.|obere|untere|c\.|r\.?|pod|na|cesta"
)
_COMPOUND = (
    r"stra(?:ße|sse)|straat|str\.|gasse|wegen|vej|veien|vegen|gata|gaten|gatan|gade|katu|tänav|utca|laan|dijk|singel"
    r"|gracht|platz|plads|torv|vägen|stræde|kuja|polku|bakken|kroken|steig|pfad|allé|allee|plein|hove|weg|vei|väg|tie"
)
_TYPE_BEHIND = r"u\.|utca|út|tér|krt\.|tn\.|tee|vei|vej|väg|gade|allé|kade|sok\.|bb"
_UNIT = r"(?:apt|apartment|suite|ste|unit|flat|room|rm|floor|bldg|building)\.? ?#?\d{1,5}[a-z]?\b"
_ANCHOR = re2.compile(
    r"(?i:"
    # a military address, a box, a unit
    r"\bunit \d{1,5} box \d{1,5}|\bpsc \d{1,5},? box \d{1,5}"
    r"|\b(?:uss|usns|usnv|uscgc|usav) " + _W + r"\s+[af]po "
    r"|\b(?:apo|fpo|dpo) a[aep] \d{5}|\b(?:p\.? ?o\.? ?|post ?)box \d{1,7}|\bpost(?:box|fach|boks) \d{1,7}"
    rf"|\b{_UNIT}"
    # 42 Old Mill Road
    rf"|\b(?:{_NUMBER},? )?{_NUMBER},? (?:(?:{_W}|\d{{1,3}}(?:st|nd|rd|th)) ){{1,4}}(?:{_TYPE})\b\.?"
    # 12 rue Victor Hugo, Via Franscini 71
    rf"|\b(?:{_NUMBER},? ){{1,2}}(?:{_BEFORE_NAME}) {_W}(?: {_W}){{0,4}}(?: \d{{1,5}}[a-z]?\b)?"
    rf"|\b(?:{_BEFORE_NAME}) {_W}(?: {_W}){{0,4}},? \d{{1,5}}[a-z]?\b"
    # Hauptstraße 12, 17 Hauptstraße, Dózsa György út 78.
    rf"|\b(?:{_NUMBER},? )?(?:{_W} ){{0,3}}{_L}[A-Za-z\x{{c0}}-\x{{1fff}}.'’-]+(?:{_COMPOUND})"
    r" \d{1,5}[a-z]?\b\.?"
    rf"|\b{_NUMBER},? {_W}(?:{_COMPOUND}){_END}"
    rf"|\b(?:{_NUMBER},? )?(?:{_W} ){{1,3}}(?:{_TYPE_BEHIND}) \d{{1,5}}\b\.?"
    r")"
)
_NAMED_STREET = re2.compile(
    r"\b(?:[A-Z\x{c0}-\x{de}][A-Za-z0-9\x{c0}-\x{1fff}.'’-]* ){1,3}"
    r"(?:Street|Avenue|Road|Lane|Boulevard|Square|Ave|Blvd|Rd|Crescent)\b"
)
_STATE_ZIP = re2.compile(
    rf"\b[A-Z]{_W}(?: [A-Z]{_W}){{0,3}},? (?:A[KLRZ]|C[AOT]|D[CE]|FL|GA|HI|I[ADLN]|K[SY]|LA|M[ADEINOST]"
    r"|N[CDEHJMVY]|O[HKR]|PA|RI|S[CD]|T[NX]|UT|V[AT]|W[AIVY]) \d{5}(?:-\d{4})?\b"
)
_SANDWICHED = re.compile(r"(?<![\w.,$€£-])\d{1,6}[A-Za-z]? (?:[^\W\d_][\w.'’-]* ){1,4}\d{1,5}\b\.?")
_CUE = re.compile(
    r"(?:address(?:es)?(?: is| to| with|:| here|)|liv(?:e|es|ed|ing) (?:in|at|on)|moved? to|sent to"
    r"|(?:send|ship|mail|deliver(?:ed)?) (?:\w+ ){0,4}to|located (?:at|in|on)|meet (?:me |us )?(?:at|on)"
    r"|return to|arrived at|it's in|station is on|enter on|mailed to|the same:|one to"
    r"|resid(?:e|es|ed|ing) (?:at|in|on))[\s:]*\Z",
    re.IGNORECASE,
)
_MORE = re.compile(
    r"[ ,.\n]{1,4}(?:(?:apt|apartment|suite|ste|unit|flat|room|rm|floor|bldg|building)\.? ?#?\d{1,5}[a-z]?\b"
    r"|(?:apo|fpo|dpo) a[aep] \d{5})"
    r"|,?[ \n]{1,3}(?:, )?(?:[a-zà-þ]{2}|nan),? \d{4,6}\b"
    r"|[ ,\n]{1,4}\d{5}(?:-\d{4})?\b",
    re.IGNORECASE,
)
_TOWN = re.compile(
    r"(?:,|,?\n) ?[A-ZÀ-Þ][\w.'’-]*(?: (?:[A-ZÀ-Þ][\w.'’-]*|de|do|da|of|the|la|del)){0,4}"
    r"(?:\n? ?, ?[A-Za-z]{1,3}\b)?(?:[ \n,]{1,3}\d{4,6}\b)?"
)
_DIGIT = re.compile(r"\d")
_THINGS = re.compile(
    r"\b(?:volumes?|vols?|chapters?|books?|is|was|are|days?|years?|times?|weeks?|copies|items?|orders?|pages?|minutes?"
    r"|hours?|months?|parts?|series|manga|percent|dollars|points)\b",
    re.IGNORECASE,
)
_LITTLE_WORD = re.compile(
    r"\b(?:of|in|by|the|and|for|to|my|on|with|at|from|or|a|an|near|corner|address|this|that)\s", re.IGNORECASE
)


def find_addresses(text: str) -> list[tuple[int, int]]:
    """Return offsets of addresses, each as far as it goes on."""
    parts = [match.span() for match in _NAMED_STREET.finditer(text)]
    if _DIGIT.search(text) is not None:
        parts += [
            span
            for match in _ANCHOR.finditer(text)
            if (span := _street(match.group(), match.start())) is not None
        ]
        parts += [match.span() for match in _STATE_ZIP.finditer(text)]
        starts = [start for start, _ in parts]
        parts += [
            match.span()
            for match in _SANDWICHED.finditer(text)
            if _speaks_of_a_place(text, match.start(), match.end(), starts)
        ]
    return [_extended(text, span) for span in _joined(text, parts)] if parts else []


def _street(matched: str, start: int) -> tuple[int, int] | None:
    """Return where the address is in what has the form of one, or None when it counts things."""
    if _THINGS.search(matched) is not None:
        return None
    first = max((word.end() for word in _LITTLE_WORD.finditer(matched)), default=0)
    rest = matched[first:]
    if _DIGIT.search(rest) is None or (first and " " not in rest.strip()):
        return None
    return start + first, start + len(matched)


def _speaks_of_a_place(text: str, start: int, end: int, parts: list[int]) -> bool:
    """Whether `12 Some Name 34` follows words that ask for an address, or belongs to a block of one."""
    if any(0 <= other - end <= 4 for other in parts):
        return True
    if _CUE.search(text, max(0, start - 40), start) is not None:
        return True
    alone = (start == 0 or text[start - 1] == "\n") and text[end : end + 1] == "\n"
    return alone and text.count("\n") >= 2


def _joined(text: str, parts: list[tuple[int, int]]) -> list[tuple[int, int]]:
    out: list[tuple[int, int]] = []
    for start, end in sorted(parts):
        if out and (start <= out[-1][1] or text[out[-1][1] : start].strip(" ,.\n") == ""):
            out[-1] = (out[-1][0], max(out[-1][1], end))
        else:
            out.append((start, end))
    return out


def _extended(text: str, span: tuple[int, int]) -> tuple[int, int]:
    """Take in what follows: unit, town, region, postal code."""
    start, end = span
    while end > start and text[end - 1].isspace():
        end -= 1
    for _ in range(4):
        more = _MORE.match(text, end) or _TOWN.match(text, end)
        if more is None:
            break
        end = more.end()
    return start, end
