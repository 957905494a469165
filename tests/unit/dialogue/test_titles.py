"""The lexicon finds titles as people write them and leaves ordinary sentences alone."""

from __future__ import annotations

import json
import time
from itertools import chain

import pytest

from mangaassist.domain.catalog import Series
from mangaassist.serving.dialogue.text import Tokenizer, fold
from mangaassist.serving.dialogue.titles import TitleLexicon, ordinary_words
from tests.support.demo_store import PACK, demo_store

TOKENIZER = Tokenizer()


def _lexicon() -> TitleLexicon:
    return demo_store().reader._parser.titles


def found(text: str, *, in_talk: tuple[str, ...] = ()) -> list[str]:
    mentions = _lexicon().find(text, TOKENIZER.tokens(fold(text)), in_talk=in_talk)
    return list(chain.from_iterable(mention.series_ids for mention in mentions))


@pytest.mark.parametrize(
    ("text", "series_id"),
    [
        ("is berserk any good", "berserk"),
        ("BERSERK!!", "berserk"),
        ("got bezerk vol 3?", "berserk"),
        ("one-punch man", "one-punch-man"),
        ("onepunch man please", "one-punch-man"),
        ("Haikyū", "haikyu"),
        ("kimetsu no yaiba", "demon-slayer"),
        ("demonslayer box set", "demon-slayer"),
        ("fullmetal alchimist", "fullmetal-alchemist"),
        ("how long is jjk", "jujutsu-kaisen"),
        ("shingeki no kyojin", "attack-on-titan"),
        ("takane and hana", "takane-and-hana"),
        ("naruto's author", "naruto"),
        ("vinlad saga", "vinland-saga"),
        ("anything like promised neverland", "the-promised-neverland"),
        ("is monster finished", "monster"),
        ("something like monster but shorter", "monster"),
        ("monster vol 3", "monster"),
        ("Who wrote Another?", "another"),
        ('do you have "real"?', "real"),
        ("tokyo ghoul re", "tokyo-ghoul-re"),
        ("tokyo ghoul", "tokyo-ghoul"),
    ],
)
def test_a_title_is_found_as_people_write_it(text: str, series_id: str) -> None:
    assert series_id in found(text)


@pytest.mark.parametrize(
    "text",
    [
        "a monster manga please",
        "do you have another",
        "another one",
        "i have given up",
        "is this a real book",
        "what is your name",
        "the new orange covers",
        "manga about life and happiness",
        "i will look back later",
        "good night",
        "please touch up the limit",
        "any monster stories",
    ],
)
def test_ordinary_words_that_are_titles_need_a_cue(text: str) -> None:
    assert found(text) == []


def test_a_common_word_title_is_understood_once_the_talk_is_about_it() -> None:
    assert found("i think monster sounds nice") == []
    assert found("i think monster sounds nice", in_talk=("monster",)) == ["monster"]


def test_the_longest_title_wins() -> None:
    assert found("the seven deadly sins four knights of the apocalypse") == [
        "the-seven-deadly-sins-four-knights-of-the-apocalypse"
    ]


def test_service_talk_of_the_pack_holds_hardly_a_false_title() -> None:
    """Escalations name no titles: whatever is found there is found wrongly."""
    rows = [
        json.loads(line)
        for path in sorted((PACK / "intents").glob("*.jsonl"))
        for line in path.read_text(encoding="utf-8").splitlines()
        if line.strip()
    ]
    texts = [row["text"] for row in rows if row["intent"] == "escalation"]
    wrong = [text for text in texts if found(text)]
    assert len(texts) > 250
    assert len(wrong) / len(texts) < 0.02, wrong


def test_every_title_of_the_pack_is_found_in_quotes() -> None:
    missed = [
        one.title
        for one in demo_store().pack.series.records
        if one.series_id not in found(f'tell me about "{one.title}"')
    ]
    assert len(missed) <= 3, missed


def test_twenty_thousand_imported_titles_cost_little_and_spoil_nothing() -> None:
    own = list(demo_store().pack.series.records)
    imported = [
        Series(series_id=f"i{number}", title=f"{first} {second} {number}", source="import:test")
        for number, (first, second) in enumerate(
            (left, right) for left in ("About", "Cat", "Moon", "Good") for right in range(5_000)
        )
    ]
    everyday = [Series(series_id="i-about", title="About", source="import:test")]
    words = ordinary_words(own, ())
    started = time.process_time()
    lexicon = TitleLexicon([*own, *imported, *everyday], tokenizer=TOKENIZER, ordinary_words=words)
    assert time.process_time() - started < 2.0  # measured: about 0.3 s; the bound is for slow machines
    text = "what about my order"
    assert lexicon.find(text, TOKENIZER.tokens(fold(text))) == []
