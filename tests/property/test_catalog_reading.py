"""Reading an outside catalogue never fails and never loses a line."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from mangaassist.adapters.embedded.imported_series import decode_imports, encode_imports
from mangaassist.control.knowledge.catalog_reading import read_catalog
from mangaassist.domain.catalog_import import IMPORT_RULES, merge_imports
from tests.support.catalog_rows import import_row

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=4,
)
broken_rows = st.builds(
    lambda field, value: {**import_row("m1"), field: value}, st.sampled_from(sorted(IMPORT_RULES)), values
)
lines = st.lists(
    st.binary(max_size=40).filter(lambda line: b"\n" not in line)
    | values.map(lambda value: json.dumps(value).encode())
    | broken_rows.map(lambda row: json.dumps(row).encode()),
    max_size=8,
)


@given(lines)
def test_every_row_is_either_read_repeated_or_reported(content: list[bytes]) -> None:
    reading = read_catalog(content, source="import:test")
    assert reading.row_count == len(reading.series) + reading.repeated_count + reading.malformed_count
    assert all(1 <= fault.line <= len(content) for fault in reading.faults)


@given(lines)
def test_what_was_read_is_published_as_it_is(content: list[bytes]) -> None:
    series = read_catalog(content, source="import:test").series
    name, stored = encode_imports(series)
    assert tuple(decode_imports(stored)) == series
    assert encode_imports(decode_imports(stored)) == (name, stored)


@given(lines, lines)
def test_merging_keeps_the_pack_first_and_drops_nothing(pack: list[bytes], imported: list[bytes]) -> None:
    ours = read_catalog(pack, source="pack").series
    theirs = read_catalog(imported, source="import:test").series
    merged = merge_imports(ours, theirs)
    assert [one.series_id for one in merged.series[: len(ours)]] == [one.series_id for one in ours]
    assert len(merged.series) == len(ours) + len(theirs) - len(merged.same_as)
    assert len({one.series_id for one in merged.series}) == len(merged.series)
