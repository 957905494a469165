"""Words, folding, stems: the rules that documents and queries share."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mangaassist.domain.lexical import content_words, fold, near_spellings, romaji_key, stem, words


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Tōkyō Ghoul:re", ["tokyo", "ghoul", "re"]),
        ("Komi-san's", ["komi", "san"]),
        ("JoJo’s don't", ["jojo", "dont"]),
        ("ＦＵＬＬ ﬁn Straße", ["full", "fin", "strasse"]),
        ("東京 喰種 7_8", ["東京", "喰種", "7", "8"]),
        ("…!?", []),
    ],
)
def test_words_are_folded_and_split(text: str, expected: list[str]) -> None:
    assert words(text) == expected


@pytest.mark.parametrize(
    ("word", "expected"),
    # the examples of Porter's paper, one or two for each step
    [
        ("caresses", "caress"), ("ponies", "poni"), ("cats", "cat"), ("feed", "feed"), ("agreed", "agre"),
        ("plastered", "plaster"), ("motoring", "motor"), ("sing", "sing"), ("hopping", "hop"),
        ("falling", "fall"), ("filing", "file"), ("happy", "happi"), ("sky", "sky"),
        ("relational", "relat"), ("digitizer", "digit"), ("decisiveness", "decis"),
        ("triplicate", "triplic"), ("hopefulness", "hope"), ("electrical", "electr"),
        ("revival", "reviv"), ("adoption", "adopt"), ("replacement", "replac"), ("probate", "probat"),
        ("rate", "rate"), ("cease", "ceas"), ("controll", "control"), ("roll", "roll"),
    ],
)  # fmt: skip
def test_stems_are_porters(word: str, expected: str) -> None:
    assert stem(word) == expected


def test_stop_words_count_only_where_nothing_else_is_left() -> None:
    assert content_words("who wrote it") == ["wrote"]
    assert content_words("It") == ["it"]


def test_long_vowels_are_one_sound() -> None:
    assert romaji_key("shounen") == romaji_key("shonen")
    assert romaji_key("yuu") == romaji_key("yu")


@given(st.text(max_size=60))
def test_folding_twice_changes_nothing_and_words_survive_it(text: str) -> None:
    assert fold(fold(text)) == fold(text)
    assert words(" ".join(words(text))) == words(text)
    assert all(word.isalnum() for word in words(text))


@given(st.text("abcdefghijklmnopqrstuvwxyz", min_size=1, max_size=15))
def test_a_stem_is_never_empty_nor_longer_than_a_letter_more(word: str) -> None:
    assert 0 < len(stem(word)) <= len(word) + 1


def test_near_spellings_are_one_slip_away() -> None:
    near = set(near_spellings("beserk"))
    assert {"berserk", "besrek", "besrk", "beserks", "beserx"} <= near
    assert "berserker" not in near
