"""What is personal data and what only looks like it."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from mangaassist.control.evaluation.guardrail_pii import evaluate_finder, read_labelled_spans
from mangaassist.domain.errors import InvalidRequestError
from mangaassist.serving.guardrails.personal_data.finder import PersonalDataFinder
from tests.support.look_alikes import look_alikes

CATALOGUE = (
    "Berserk", "Monster", "Naoki Urasawa", "Junji Ito", "My Name Is Shingo", "Anna and the Apocalypse", "86",
    "Maria the Virgin Witch", "Emma", "Kentaro Miura",
)  # fmt: skip
FINDER = PersonalDataFinder(catalogue_names=CATALOGUE)
STORE_IDS = {"order_id", "isbn", "asin", "tracking_number"}
SHARED = Path(__file__).parents[4] / "shared" / "data" / "guardrails" / "pii.jsonl"


def found(text: str) -> list[tuple[str, str]]:
    return [(span.kind, text[span.start : span.end]) for span in FINDER.find(text)]


@pytest.mark.parametrize(
    ("text", "kind", "value"),
    [
        ("write to mia.k+1@example.co.uk.", "email", "mia.k+1@example.co.uk"),
        ("call +1 (555) 010-4477 now", "phone", "+1 (555) 010-4477"),
        ("fax 541-754-3010x123", "phone", "541-754-3010x123"),
        ("Tel. +41 (0)62 585 51 90", "phone", "+41 (0)62 585 51 90"),
        ("my phone is 5417543010", "phone", "5417543010"),
        ("0487 98 11 92", "phone", "0487 98 11 92"),
        ("card 4111 1111 1111 1111", "card", "4111 1111 1111 1111"),
        ("pay with 4111111111111111 please", "card", "4111111111111111"),
        ("SSN 123-45-6789", "ssn", "123-45-6789"),
        ("IBAN GB29 NWBK 6016 1331 9268 19 now", "iban", "GB29 NWBK 6016 1331 9268 19"),
        ("from 192.168.10.4", "ip", "192.168.10.4"),
        ("host 8.8.8.8 answers", "ip", "8.8.8.8"),
        ("from 2001:db8::ff00:42:8329", "ip", "2001:db8::ff00:42:8329"),
        ("see https://me.example/cv?x=1.", "url", "https://me.example/cv?x=1"),
        ("ship it to 42 Old Mill Road, Apt. 7", "address", "42 Old Mill Road, Apt. 7"),
        ("Hauptstraße 12a", "address", "Hauptstraße 12a"),
        ("12 rue Victor Hugo", "address", "12 rue Victor Hugo"),
        ("my name is Dana Whitfield", "person", "Dana Whitfield"),
        ("Mr. Xylander called", "person", "Xylander"),
        ("ask for maria gonzalez", "person", "maria gonzalez"),
        ("I am Emma Thompson", "person", "Emma Thompson"),
        ("order 114-5550101-2000001", "order_id", "114-5550101-2000001"),
        ("track 1Z999AA10123456784", "tracking_number", "1Z999AA10123456784"),
        ("ISBN 978-1-4215-8269-6", "isbn", "978-1-4215-8269-6"),
        ("is B0C1234567 in stock", "asin", "B0C1234567"),
    ],
)
def test_it_is_found_with_its_kind_and_its_bounds(text: str, kind: str, value: str) -> None:
    assert (kind, value) in found(text)


@pytest.mark.parametrize(
    "text",
    [
        "is volume 12 of 20th Century Boys $14.99?",
        "when does vol 5 come out in May 2026",
        "I paid 1234567 yen",
        "something like Monster by Naoki Urasawa",
        "do you have Maria the Virgin Witch or Emma?",
        "is My Name Is Shingo good?",
        "books by Junji Ito between 2001 and 2019",
        "it was released 2017-10-11 03:54:51",
        "version 1.2.3.4.5 of the reader",
        "4111 1111 1111 1112 is not a number of anything",
        "volumes 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22",
        "13 volumes of the series",
        "I will read it in March with Grace",
    ],
)
def test_what_a_shop_talks_about_is_not(text: str) -> None:
    assert [kind for kind, _ in found(text) if kind not in STORE_IDS] == []


def test_ten_thousand_look_alikes_give_no_false_hit() -> None:
    wrong = [
        (text, span.kind, text[span.start : span.end])
        for text in look_alikes(10_000, seed=7)
        for span in FINDER.find(text)
        if span.kind not in STORE_IDS
    ]
    assert wrong == []


def test_a_run_of_numbers_longer_than_any_still_gives_up_the_one_inside() -> None:
    text = "1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 call 541-754-3010"
    assert ("phone", "541-754-3010") in found(text)


@pytest.mark.parametrize(
    "piece", ["1 ", "12-", "a.", "a@", "Aa ", "4111 1111 1111 1112 ", "GB12 ABCD ", "http://", "f:", "12 Aa "]
)
def test_no_text_costs_more_than_a_fraction_of_a_second(piece: str) -> None:
    text = (piece * 4_000)[:4_000]
    FINDER.find(text)
    started = time.process_time()
    FINDER.find(text)
    assert time.process_time() - started < 0.5


@pytest.mark.shared_data
def test_the_tuning_file_reaches_what_the_documentation_says() -> None:
    if not SHARED.is_file():
        pytest.skip("the public data folder is not beside the checkout")
    report = evaluate_finder(read_labelled_spans(SHARED), FINDER.find, progress=lambda *_: None)
    overall = report["overall"]
    assert isinstance(overall, dict)
    assert overall["fixed_type_f1"] >= 0.97
    assert overall["character_coverage"] >= 0.985
    assert overall["person_address_f1"] >= 0.80


def test_the_evaluation_counts_overlaps_of_the_right_type(tmp_path: Path) -> None:
    file = tmp_path / "pii.jsonl"
    rows = [
        {"text": "mail a@b.com", "spans": [{"start": 5, "end": 12, "type": "EMAIL_ADDRESS"}], "source": "x"},
        {"text": "mail a@b.com", "spans": [{"start": 5, "end": 12, "type": "PHONE"}], "source": "y"},
        {"text": "nothing here", "spans": [], "source": "y"},
    ]
    file.write_text("\n".join(json.dumps(row) for row in rows))
    report = evaluate_finder(read_labelled_spans(file), FINDER.find, progress=lambda *_: None)
    overall, by_source = report["overall"], report["by_source"]
    assert isinstance(overall, dict)
    assert isinstance(by_source, dict)
    assert (overall["fixed_type_precision"], overall["fixed_type_recall"]) == (0.5, 0.5)
    assert overall["character_coverage"] == 1.0
    assert (overall["rows_without_pii"], overall["rows_without_pii_flagged"]) == (1, 0)
    assert overall["person_address_f1"] is None
    assert by_source["x"]["fixed_type_f1"] == 1.0
    assert {"p50_us", "p95_us", "p99_us"} <= set(overall)


def test_a_span_outside_its_text_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "pii.jsonl"
    file.write_text(json.dumps({"text": "a", "spans": [{"start": 0, "end": 9, "type": "X"}], "source": "x"}))
    with pytest.raises(InvalidRequestError, match="not a span"):
        read_labelled_spans(file)
