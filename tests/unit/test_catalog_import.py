"""Rows of an outside catalogue: what they become, and which are refused."""

from __future__ import annotations

import json
from typing import Any

import pytest

from mangaassist.control.knowledge.catalog_reading import CatalogReading, read_catalog
from mangaassist.domain.catalog import Series
from mangaassist.domain.catalog_import import given_family, merge_imports, normalised_title
from tests.support.catalog_rows import import_row


def read(*rows: dict[str, Any] | bytes, **options: Any) -> CatalogReading:
    lines = [row if isinstance(row, bytes) else json.dumps(row).encode() for row in rows]
    return read_catalog(lines, source="import:test", **options)


def test_a_row_becomes_a_series_without_anything_made_up() -> None:
    (series,) = read(import_row("m5", title="Kasa", title_en="Umbrella", type="Manhwa", score=9.1)).series
    assert series == Series(
        series_id="m5",
        title="Umbrella",
        alt_titles=("Kasa",),
        authors=("Naoki Urasawa",),
        demographic="seinen",
        genres=("drama", "award winning"),
        themes=("manhwa",),
        first_year=1994,
        status="finished",
        volumes=18,
        source="import:test",
    )


def test_nulls_stay_null_and_a_running_series_has_no_final_number() -> None:
    nulls = import_row("m1", volumes=None, year=None, demographic=None, status=None, title_en=None)
    running = import_row("m2", status="Publishing", volumes=3)
    first, second = read(nulls, running).series
    assert (first.volumes, first.first_year, first.demographic, first.status) == (None, None, None, None)
    assert (second.status, second.volumes) == ("ongoing", None)


@pytest.mark.parametrize(
    ("row", "field"),
    [
        (b"{", None),
        (b"[1]", None),
        (b'{"id": "m1"\xff}', None),
        (b'"m1"', None),
        (import_row("m1", title="  "), "title"),
        (import_row("m1", title="two\nlines"), "title"),
        (import_row("m 1"), "id"),
        (import_row("m1", volumes=-1), "volumes"),
        (import_row("m1", volumes=True), "volumes"),
        (import_row("m1", volumes=2.5), "volumes"),
        (import_row("m1", year="1994"), "year"),
        (import_row("m1", authors="Urasawa, Naoki"), "authors"),
        (import_row("m1", genres=[None]), "genres"),
        (import_row("m1", status="Paused"), "status"),
        (import_row("m1", demographic="Everyone"), "demographic"),
        ({"id": "m1", "title": "Only"}, "authors"),
        (import_row("berserk"), "id"),
    ],
)
def test_a_malformed_row_is_named_and_the_others_stay(row: dict[str, Any] | bytes, field: str | None) -> None:
    reading = read(import_row("m0"), row, import_row("m9"), reserved_ids=frozenset({"berserk"}))
    assert [series.series_id for series in reading.series] == ["m0", "m9"]
    assert {fault.line for fault in reading.faults} == {2}
    assert reading.faults[0].field == field
    assert (reading.row_count, reading.malformed_count) == (3, 1)


def test_the_last_row_of_an_id_holds_and_blank_lines_and_a_byte_order_mark_do_not_count() -> None:
    first = b"\xef\xbb\xbf" + json.dumps(import_row("m1", title="Old")).encode()
    reading = read(first, b"\n", import_row("m1", title="New"))
    assert [series.title for series in reading.series] == ["New"]
    assert (reading.row_count, reading.repeated_count, reading.faults) == (2, 1, ())


@pytest.mark.parametrize(
    ("name", "turned"),
    [
        ("Miura, Kentarou", "Kentarou Miura"),
        ("CLAMP", "CLAMP"),
        ("Family,", "Family,"),
        (" A ,  B  C", "B C A"),
    ],
)
def test_names_are_turned_to_given_family(name: str, turned: str) -> None:
    assert given_family(name) == turned


def test_spellings_of_a_title_are_one() -> None:
    assert normalised_title("Shōnen  Note!") == normalised_title("SHONEN-NOTE")


def series(series_id: str, title: str, year: int | None, author: str, *themes: str) -> Series:
    return Series(series_id=series_id, title=title, first_year=year, authors=(author,), themes=themes)


CLOVER = series("clover", "Clover", 1997, "CLAMP")


@pytest.mark.parametrize(
    ("row", "same"),
    [
        (series("m1", "CLOVER!", 1997, "Somebody Else"), True),  # title and year
        (series("m1", "Clover", 1998, "Clamp"), True),  # a year apart, common author
        (series("m1", "Clover", 1998, "Somebody Else"), False),
        (series("m1", "Clover", 1999, "CLAMP"), False),
        (series("m1", "Clover", None, "CLAMP"), False),
        (series("m1", "Clover", 1997, "CLAMP", "one-shot"), False),  # its pilot is another work
        (series("m1", "Clovers", 1997, "CLAMP"), False),
    ],
)
def test_which_rows_are_a_series_of_the_pack(row: Series, same: bool) -> None:
    merged = merge_imports([CLOVER], [row])
    assert ("m1" in merged.same_as) is same
    assert len(merged.series) == (1 if same else 2)


def test_of_two_works_with_one_title_and_year_the_authors_own_is_merged() -> None:
    namesake = series("m1", "Clover", 1997, "Toriko Chiya")
    own = series("m2", "Clover", 1997, "CLAMP")
    merged = merge_imports([CLOVER], [namesake, own])
    assert dict(merged.same_as) == {"m2": "clover"}
    assert [one.series_id for one in merged.series] == ["clover", "m1"]


def test_long_vowels_do_not_make_another_author() -> None:
    pack = series("one", "One", 2000, "Kentaro Miura")
    assert "m1" in merge_imports([pack], [series("m1", "One", 2001, "Miura Kentarou")]).same_as
