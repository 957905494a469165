"""Whatever a pack's file holds, its faults are named and nothing else escapes."""

from __future__ import annotations

import json
from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import given, settings
from hypothesis import strategies as st

from mangaassist.adapters.embedded.store_pack import read_store_pack
from mangaassist.domain.store_pack import check_pack
from mangaassist.domain.store_rows import PRODUCT_RULES, SERIES_RULES, check_row
from tests.support.store_packs import product_row, series_row, write_pack

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=6),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=4), inner, max_size=2),
    max_leaves=4,
)


@given(st.sampled_from(sorted(SERIES_RULES)), values)
def test_a_changed_field_is_the_only_one_that_can_be_at_fault(field: str, value: object) -> None:
    assert {fault.field for fault in check_row(series_row() | {field: value}, SERIES_RULES)} <= {field}


@given(values)
def test_any_json_is_judged_without_an_exception(value: object) -> None:
    assert isinstance(check_row(value, PRODUCT_RULES), list)


@settings(max_examples=40, deadline=None)
@given(
    st.integers(0, 5), st.binary(max_size=30).filter(lambda line: b"\n" not in line and line.strip() != b"")
)
def test_a_broken_line_is_reported_at_its_own_number(before: int, broken: bytes) -> None:
    with TemporaryDirectory() as name:
        folder = write_pack(Path(name))
        good = [json.dumps(product_row(volume=1)).encode()] * before
        (folder / "products.jsonl").write_bytes(b"\n".join([*good, broken]))
        reading = read_store_pack(folder)
        assert {(problem.path, problem.line) for problem in reading.problems} == {
            ("products.jsonl", before + 1)
        }
        assert check_pack(reading.pack) is not None
