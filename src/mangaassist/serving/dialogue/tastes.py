"""Taste words of a message: genres, themes, moods and demographics, wanted, unwanted or taken back."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from mangaassist.domain.catalog import Series
from mangaassist.serving.dialogue.text import Token, Tokenizer
from mangaassist.serving.dialogue.words import EVERYDAY

Polarity = Literal["wanted", "unwanted", "withdrawn"]
_LONGEST_PHRASE: Final = 4


@dataclass(frozen=True, slots=True)
class Taste:
    """What one word or phrase stands for."""

    genres: tuple[str, ...] = ()
    themes: tuple[str, ...] = ()
    moods: tuple[str, ...] = ()
    demographic: str | None = None


@dataclass(frozen=True, slots=True)
class Tastes:
    """All taste words of one message."""

    wanted: Taste = Taste()
    unwanted: Taste = Taste()
    withdrawn: tuple[str, ...] = ()
    phrases: tuple[tuple[int, int], ...] = ()


def _genres(*names: str) -> Taste:
    return Taste(genres=names)


def _moods(*names: str) -> Taste:
    return Taste(moods=names)


def _themes(*names: str) -> Taste:
    return Taste(themes=names)


# What shoppers say, in the words of the catalogue. The second table holds only where unwanted means more.
WANTED: Final[dict[str, Taste]] = {
    "scary": Taste(genres=("horror",)), "spooky": _genres("horror"), "creepy": _moods("creepy"),
    "frightening": _genres("horror"), "terrifying": _genres("horror"), "horrors": _genres("horror"),
    "romcom": _genres("romance", "comedy"), "rom com": _genres("romance", "comedy"),
    "romantic comedy": _genres("romance", "comedy"), "romantic": _genres("romance"),
    "love story": _genres("romance"),
    "love stories": _genres("romance"), "lovey dovey": _genres("romance"), "romances": _genres("romance"),
    "funny": _genres("comedy"), "hilarious": _genres("comedy"), "humor": _genres("comedy"),
    "humour": _genres("comedy"),
    "silly": _genres("comedy"), "comedic": _genres("comedy"), "comedies": _genres("comedy"),
    "laugh": _genres("comedy"),
    "gag": _genres("comedy"), "funnier": _genres("comedy"), "goofy": _genres("comedy"),
    "scifi": _genres("sci-fi"), "sci fi": _genres("sci-fi"), "science fiction": _genres("sci-fi"),
    "sf": _genres("sci-fi"),
    "thrilling": _genres("thriller"), "thrillers": _genres("thriller"), "suspense": _genres("thriller"),
    "whodunit": _genres("mystery"), "mysteries": _genres("mystery"), "detective": Taste(genres=("mystery",)),
    "crime": _themes("crime"), "adventurous": _genres("adventure"), "adventures": _genres("adventure"),
    "battle": _genres("action"), "battles": _genres("action"), "fights": _genres("action"),
    "fighting": _genres("action"),
    "actiony": _genres("action"), "slice of life": _genres("slice of life"), "sol": _genres("slice of life"),
    "everyday life": _genres("slice of life"), "iyashikei": Taste(genres=("slice of life",), moods=("cozy",)),
    "sport": _genres("sports"), "sporty": _genres("sports"), "history": _genres("historical"),
    "historic": _genres("historical"), "period piece": _genres("historical"), "dramatic": _genres("drama"),
    "dramas": _genres("drama"), "mind bending": _genres("psychological"),
    "mindfuck": _genres("psychological"),
    "paranormal": _genres("supernatural"), "fantastical": _genres("fantasy"), "magical": _genres("fantasy"),
    "cosy": _moods("cozy"), "comfy": _moods("cozy"), "relaxing": _moods("cozy"), "calm": _moods("cozy"),
    "calming": _moods("cozy"), "chill": _moods("cozy"), "soothing": _moods("cozy"), "gentle": _moods("cozy"),
    "gentler": _moods("cozy"), "heartwarming": _moods("wholesome"), "sweet": _moods("wholesome"),
    "cute": _moods("wholesome"), "warm": _moods("wholesome"), "feel good": _moods("uplifting"),
    "happy": _moods("uplifting"),
    "feelgood": _moods("uplifting"), "inspiring": _moods("uplifting"), "hopeful": _moods("uplifting"),
    "motivating": _moods("uplifting"), "cheerful": _moods("uplifting"), "lighthearted": _moods("funny"),
    "light hearted": _moods("funny"), "lighter": _moods("funny"), "light": _moods("funny"),
    "fun": _moods("funny"),
    "sad": _moods("melancholic"), "sadder": _moods("melancholic"), "tearjerker": _moods("bittersweet"),
    "tear jerker": _moods("bittersweet"), "emotional": _moods("bittersweet"),
    "make me cry": _moods("bittersweet"),
    "melancholy": _moods("melancholic"), "darker": _moods("dark"), "grimmer": _moods("grim"),
    "bleak": _moods("grim"),
    "gritty": _moods("dark"), "weird": _moods("quirky"), "bizarre": _moods("quirky"),
    "strange": _moods("quirky"),
    "odd": _moods("quirky"), "philosophical": _moods("thoughtful"), "deep": _moods("thoughtful"),
    "thought provoking": _moods("thoughtful"), "exciting": _moods("fast-paced"),
    "fast paced": _moods("fast-paced"),
    "page turner": _moods("fast-paced"), "suspenseful": _moods("tense"), "slow": _moods("thoughtful"),
    "quiet": _moods("cozy"),
    "vampire": _themes("vampires"), "ninjas": _themes("ninja"), "pirate": _themes("pirates"),
    "zombie": _themes("zombies"),
    "mechs": _themes("mecha"), "giant robots": _themes("mecha"), "robot": _themes("robots"),
    "gay": _themes("boys love"),
    "bl": _themes("boys love"), "yaoi": _themes("boys love"), "boys love": _themes("boys love"),
    "gl": _themes("girls love"),
    "shounen ai": _themes("boys love"), "yuri": _themes("girls love"), "lesbian": _themes("girls love"),
    "lgbt": _themes("boys love", "girls love"), "lgbtq": _themes("boys love", "girls love"),
    "queer": _themes("boys love", "girls love"), "isekai": _themes("isekai"), "soccer": _themes("football"),
    "highschool": _themes("high school"), "food": _themes("food", "cooking"), "cook": _themes("cooking"),
    "cooking": _themes("cooking"), "swords": _themes("swordplay"), "swordsman": _themes("swordsmanship"),
    "viking": _themes("vikings"), "ghost": _themes("ghosts"), "post apocalyptic": _themes("post-apocalyptic"),
    "fanservice": _themes("fan service"), "fan service": _themes("fan service"), "ecchi": _themes("ecchi"),
    "family": _themes("family"), "space": _themes("space"), "witch": _themes("witches"),
    "magic": _themes("magic"),
    "gory": _themes("gore"), "bloody": _themes("gore"), "revenge": _themes("revenge"),
    "kittens": _themes("cats"),
    "cat": _themes("cats"), "cats": _themes("cats"), "dog": _themes("dogs"), "dogs": _themes("dogs"),
    "gods": _themes("gods"),
    "demon": _themes("demons"), "dragon": _themes("dragons"), "spy": _themes("spies"),
    "horse": _themes("horses"),
    "shonen": Taste(demographic="shounen"), "shounen": Taste(demographic="shounen"),
    "shoujo": Taste(demographic="shoujo"),
    "shojo": Taste(demographic="shoujo"), "seinen": Taste(demographic="seinen"),
    "josei": Taste(demographic="josei"),
}  # fmt: skip
_GORE: Final = Taste(themes=("gore", "body horror"), moods=("grim",))
UNWANTED: Final[dict[str, Taste]] = {
    "scary": Taste(genres=("horror",), moods=("creepy",)),
    "spooky": Taste(genres=("horror",), moods=("creepy",)),
    "frightening": Taste(genres=("horror",), moods=("creepy",)), "horror": Taste(genres=("horror",)),
    "gore": _GORE, "gory": _GORE, "blood": _GORE, "bloody": _GORE, "violent": _GORE,
    "violence": _GORE, "brutal": _GORE,
    "dark": _moods("dark", "grim"), "darker": _moods("dark", "grim"), "grim": _moods("grim"),
    "bleak": _moods("grim"),
    "depressing": _moods("grim", "melancholic"), "sad": _moods("melancholic"),
    "fanservice": _themes("fan service", "ecchi", "harem"),
    "fan service": _themes("fan service", "ecchi", "harem"),
    "ecchi": _themes("fan service", "ecchi", "harem"),
    "sexy": _themes("fan service", "ecchi", "harem"), "nudity": _themes("fan service", "ecchi"),
    "fighting": _genres("action"), "romantic": _genres("romance"), "funny": Taste(),
    "high school": _themes("high school", "school", "school life", "high school club", "school club"),
    "highschool": _themes("high school", "school", "school life", "high school club", "school club"),
}  # fmt: skip
_NEGATORS_TEXT = """
no not without less nothing avoid hate hates dislike dislikes except minus isnt arent zero non dont
doesnt cant wont never neither nor too besides bored tired sick hated
"""
_NEGATORS: Final = frozenset(_NEGATORS_TEXT.split())
_WITHDRAWERS: Final = frozenset(["forget", "drop", "skip", "scrap", "ditch", "remove", "lose", "nevermind"])
_ENDS_SCOPE_TEXT = """
but and with please just only though rather instead something want prefer maybe
"""
_ENDS_SCOPE: Final = frozenset(_ENDS_SCOPE_TEXT.split())
_POSSESSIVE: Final = frozenset(
    ["my", "her", "his", "our", "your", "their", "twin", "little", "big", "older", "younger"]
)
_RELATIVES: Final = frozenset(["brother", "sister", "sibling", "twin", "father", "mother", "family"])
_NEVER_A_THEME_TEXT = """
fans books classic summer student teacher children friends 1990s 1970s sequel prequel spin-off media
editor secrets promise passion growth hope loss failure letters debt second chance coins makeup
"""
_NEVER_A_THEME: Final = frozenset(_NEVER_A_THEME_TEXT.split())


class TasteParser:
    """Finds taste words; knows the synonyms above and every genre, theme and mood of the catalogue."""

    def __init__(self, series: Iterable[Series], tokenizer: Tokenizer) -> None:
        self._phrases: dict[tuple[str, ...], tuple[str, Taste]] = {}
        genres: set[str] = set()
        moods: set[str] = set()
        themes: Counter[str] = Counter()
        for one in series:
            if one.source == "pack":
                genres.update(one.genres)
                moods.update(one.moods)
                themes.update(one.themes)
        for theme, _ in sorted(themes.items(), key=lambda item: (-item[1], item[0])):
            if theme not in EVERYDAY and theme not in _NEVER_A_THEME:
                self._learn(tokenizer.words(theme), theme, Taste(themes=(theme,)))
        for mood in sorted(moods):
            self._learn(tokenizer.words(mood), mood, Taste(moods=(mood,)), replace=True)
        for genre in sorted(genres):
            self._learn(tokenizer.words(genre), genre, Taste(genres=(genre,)), replace=True)
        for phrase, taste in WANTED.items():
            self._learn(tuple(phrase.split()), phrase, taste, replace=True)
        for phrase in UNWANTED:
            self._learn(tuple(phrase.split()), phrase, Taste())
        self._longest: dict[str, int] = {}
        for words in self._phrases:
            self._longest[words[0]] = max(len(words), self._longest.get(words[0], 0))
        self._clause_end = re.compile(r"[.;!?:\n]")

    def parse(self, folded: str, tokens: Sequence[Token], *, titles: Collection[int]) -> Tastes:
        """Return the taste words of a message; tokens whose index is in `titles` belong to titles."""
        wanted, unwanted = _Collector(), _Collector()
        words = [_singular(token.norm) for token in tokens]
        withdrawn: list[str] = []
        spans: list[tuple[int, int]] = []
        index = 0
        while index < len(tokens):
            length, found = self._longest_at(words, index, titles)
            if found is None:
                index += 1
                continue
            phrase, taste = found
            if index and tokens[index - 1].norm in _POSSESSIVE and words[index] in _RELATIVES:
                index += length  # "my brother" is a reader, not a theme
                continue
            polarity = self._polarity(folded, tokens, index, titles)
            if polarity == "wanted":
                wanted.add(taste)
            else:
                meant = UNWANTED.get(phrase, taste)
                if polarity == "unwanted":
                    unwanted.add(meant)
                else:
                    withdrawn += (*meant.genres, *meant.themes, *meant.moods)
            spans.append((tokens[index].start, tokens[index + length - 1].end))
            index += length
        return Tastes(wanted.taste(), unwanted.taste(), tuple(dict.fromkeys(withdrawn)), tuple(spans))

    def knows(self, word: str) -> bool:
        """Tell whether a single word is a taste word."""
        return (_singular(word),) in self._phrases

    def _learn(self, words: tuple[str, ...], phrase: str, taste: Taste, *, replace: bool = False) -> None:
        key = tuple(_singular(word) for word in words)
        if key and len(key) <= _LONGEST_PHRASE and (replace or key not in self._phrases):
            self._phrases[key] = (phrase, taste)

    def _longest_at(
        self, words: Sequence[str], first: int, titles: Collection[int]
    ) -> tuple[int, tuple[str, Taste] | None]:
        for length in range(min(self._longest.get(words[first], 0), len(words) - first), 0, -1):
            if any(index in titles for index in range(first, first + length)):
                continue
            found = self._phrases.get(tuple(words[first : first + length]))
            if found is not None:
                return length, found
        return 1, None

    def _polarity(
        self, folded: str, tokens: Sequence[Token], first: int, titles: Collection[int]
    ) -> Polarity:
        """Look back to the start of the clause for a word that turns the meaning round."""
        start = tokens[first].start
        for index in range(first - 1, max(-1, first - 8), -1):
            token = tokens[index]
            between = folded[token.end : start]
            if self._clause_end.search(between) or (
                "," in between and not _is_list(folded, start, tokens, first)
            ):
                return "wanted"
            if token.norm in _WITHDRAWERS or (token.norm == "instead" and tokens[index + 1].norm == "of"):
                return "withdrawn"
            if token.norm in _NEGATORS and not (token.norm == "not" and tokens[index + 1].norm == "only"):
                return (
                    "wanted"
                    if folded[token.end : token.end + 1] == "," and token.norm == "no"
                    else "unwanted"
                )
            if token.norm in _ENDS_SCOPE or index in titles:
                return "wanted"
        return "wanted"


class _Collector:
    """Gathers tastes in the order they were said."""

    def __init__(self) -> None:
        self._genres: list[str] = []
        self._themes: list[str] = []
        self._moods: list[str] = []
        self._demographic: str | None = None

    def add(self, taste: Taste) -> None:
        self._genres += taste.genres
        self._themes += taste.themes
        self._moods += taste.moods
        self._demographic = taste.demographic or self._demographic

    def taste(self) -> Taste:
        return Taste(
            tuple(dict.fromkeys(self._genres)),
            tuple(dict.fromkeys(self._themes)),
            tuple(dict.fromkeys(self._moods)),
            self._demographic,
        )


def _is_list(folded: str, start: int, tokens: Sequence[Token], first: int) -> bool:
    """Tell whether the words up to `start` go on as a list: "no blood, gore or scares"."""
    following = [token.norm for token in tokens[first : first + 3]]
    return "or" in following or "nor" in following or folded[:start].rstrip().endswith(" or")


def _singular(word: str) -> str:
    if len(word) > 4 and word.endswith("ies"):
        return word[:-3] + "y"
    return word[:-1] if len(word) > 3 and word.endswith("s") and not word.endswith("ss") else word
