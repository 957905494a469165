"""An import as an operator runs it: searchable at once, and all or nothing."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from random import Random

import pytest
from typer.testing import CliRunner

from mangaassist.adapters.embedded.imported_series import GenerationImports
from mangaassist.adapters.embedded.search_index import EmbeddedSearchIndex
from mangaassist.adapters.embedded.store_services import PackCatalog
from mangaassist.bootstrap.settings import Settings, load_settings
from mangaassist.bootstrap.store_import import ImportReport, import_catalog
from mangaassist.cli.store import app
from mangaassist.domain.errors import ConflictError, InvalidRequestError
from mangaassist.domain.retrieval import Filter
from tests.support.catalog_rows import import_row
from tests.support.clock import FakeClock
from tests.support.import_process import Quiet
from tests.support.store_packs import write_pack, write_rows

SHARED_CATALOG = Path(__file__).parents[3] / "shared" / "data" / "catalog" / "manga.jsonl"
ONLY_IMPORTS = (Filter(field="kind", op="in", values=("series",)),)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """An empty data folder, a small pack, and no encoder."""
    return load_settings(
        data_dir=tmp_path / "var",
        cache_dir=tmp_path / "cache",
        store_dir=write_pack(tmp_path / "pack"),
    )


def run_import(settings: Settings, file: Path) -> ImportReport:
    return import_catalog(file, settings=settings, progress=Quiet())


def search(settings: Settings, text: str) -> list[str]:
    index = EmbeddedSearchIndex(settings.index_dir, clock=FakeClock())
    return [hit.chunk_id for hit in index.lexical(text, limit=5, filters=ONLY_IMPORTS)]


def imported_titles(settings: Settings) -> dict[str, str]:
    return {one.series_id: one.title for one in GenerationImports(settings.index_dir).read()}


def indexed_imports(settings: Settings, ids: Sequence[str]) -> dict[str, str]:
    index = EmbeddedSearchIndex(settings.index_dir, clock=FakeClock())
    return {chunk.ref: chunk.title for chunk in index.get(f"series:{series_id}" for series_id in ids)}


def test_imported_series_are_searched_beside_the_pack(settings: Settings, tmp_path: Path) -> None:
    file = write_rows(tmp_path / "other.jsonl", [import_row("m1", title="Kasa", title_en="Umbrella Street")])
    report = run_import(settings, file)
    assert (report.added_count, report.series_count, report.malformed_count) == (1, 2, 0)
    assert search(settings, "kasa") == ["series:m1"]
    assert search(settings, "moon ferry") == ["series:moon-ferry"]
    assert GenerationImports(settings.index_dir).read()[0].source == "import:other"


def test_malformed_rows_are_named_and_the_rest_is_imported(settings: Settings, tmp_path: Path) -> None:
    rows = [import_row(f"m{number}") for number in range(50)]
    rows[7]["volumes"] = "many"
    file = write_rows(tmp_path / "other.jsonl", rows)
    with file.open("ab") as lines:
        lines.write(b'{"id": "m50", \xff\n')
    report = run_import(settings, file)
    assert [(fault.line, fault.field) for fault in report.faults] == [(8, "volumes"), (51, None)]
    assert (report.row_count, report.added_count, report.malformed_count) == (51, 49, 2)
    assert "m7" not in imported_titles(settings)


def test_a_second_import_replaces_rows_and_keeps_the_others(settings: Settings, tmp_path: Path) -> None:
    run_import(settings, write_rows(tmp_path / "one.jsonl", [import_row("m1"), import_row("m2")]))
    again = write_rows(tmp_path / "two.jsonl", [import_row("m2", title="New"), import_row("m3")])
    report = run_import(settings, again)
    assert (report.added_count, report.replaced_count) == (1, 1)
    assert imported_titles(settings) == {"m1": "Title m1", "m2": "New", "m3": "Title m3"}
    assert run_import(settings, again).chunk_count == report.chunk_count


def test_a_row_of_the_pack_is_merged_and_found_by_its_other_title(settings: Settings, tmp_path: Path) -> None:
    row = import_row("m1", title="Tsuki no Fune", title_en="MOON FERRY", year=2011)
    report = run_import(settings, write_rows(tmp_path / "other.jsonl", [row]))
    assert (report.merged_count, report.added_count, report.series_count) == (1, 0, 1)
    assert search(settings, "tsuki no fune") == ["series:moon-ferry"]


def test_a_file_without_a_usable_row_changes_nothing(settings: Settings, tmp_path: Path) -> None:
    bad = tmp_path / "bad.jsonl"
    bad.write_text('[{"id": "m1"}]\n', encoding="utf-8")
    with pytest.raises(InvalidRequestError, match="line 1"):
        run_import(settings, bad)
    with pytest.raises(InvalidRequestError, match="cannot be read"):
        run_import(settings, tmp_path / "absent.jsonl")
    assert GenerationImports(settings.index_dir).version() is None


def test_a_running_catalogue_takes_the_import_up(settings: Settings, tmp_path: Path) -> None:
    catalog = PackCatalog([], [], imported=GenerationImports(settings.index_dir))
    run_import(settings, write_rows(tmp_path / "other.jsonl", [import_row("m1")]))
    assert catalog.series("m1") is None
    assert catalog.refresh() is True
    assert catalog.series("m1") is not None


def test_the_command_prints_a_report_as_json(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MANGAASSIST_STORE_DIR", str(settings.store_dir))
    monkeypatch.setenv("MANGAASSIST_CACHE_DIR", str(settings.cache_dir))
    file = write_rows(tmp_path / "other.jsonl", [import_row("m1"), import_row("m2", year="?")])
    ran = CliRunner().invoke(app, ["import", str(file), "--json", "--data-dir", str(tmp_path / "elsewhere")])
    assert ran.exit_code == 0, ran.output
    report = json.loads(ran.stdout)
    assert (report["rows"], report["added"], report["malformed"]) == (2, 1, 1)
    assert report["faults"][0]["line"] == 2
    assert (tmp_path / "elsewhere" / "index" / "CURRENT").is_file()


def start_import(settings: Settings, file: Path) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "tests.support.import_process"]
    return subprocess.Popen(
        [*command, str(file), str(settings.data_dir), str(settings.cache_dir)],
        cwd=Path(__file__).parents[2],
        env={"MANGAASSIST_STORE_DIR": str(settings.store_dir), "PATH": "/usr/bin:/bin"},
        stdout=subprocess.PIPE,
    )


def test_only_one_import_runs_at_a_time(settings: Settings, tmp_path: Path) -> None:
    many = write_rows(tmp_path / "many.jsonl", [import_row(f"m{number}") for number in range(3_000)])
    process = start_import(settings, many)
    assert process.stdout is not None
    with process.stdout as phases:
        assert phases.readline() == b"reading\n"
        with pytest.raises(ConflictError, match="another import is running"):
            run_import(settings, many)
        assert process.wait() == 0


@pytest.mark.slow
def test_a_killed_import_leaves_the_old_state_or_the_new_one(settings: Settings, tmp_path: Path) -> None:
    old = {f"m{number}": f"Old {number}" for number in range(1_500)}
    new = {f"m{number}": f"New {number}" for number in range(500, 2_000)}
    one = write_rows(tmp_path / "one.jsonl", [import_row(key, title=title) for key, title in old.items()])
    two = write_rows(tmp_path / "two.jsonl", [import_row(key, title=title) for key, title in new.items()])
    run_import(settings, one)
    started_s = time.perf_counter()
    run_import(load_settings(**{**settings.model_dump(), "data_dir": tmp_path / "timed"}), two)
    typical_s = time.perf_counter() - started_s
    chance = Random(20261121)
    for _ in range(6):
        process = start_import(settings, two)
        assert process.stdout is not None
        with process.stdout as phases:
            phases.readline()
            try:
                process.wait(timeout=chance.uniform(0, 1.2 * typical_s))
            except subprocess.TimeoutExpired:
                process.send_signal(signal.SIGKILL)
            assert process.wait() in (0, -signal.SIGKILL)
        served = imported_titles(settings)
        assert served in (old, {**old, **new})
        assert indexed_imports(settings, sorted({**old, **new})) == served
    run_import(settings, two)
    assert imported_titles(settings) == {**old, **new}


@pytest.mark.shared_data
@pytest.mark.slow
@pytest.mark.skipif(not SHARED_CATALOG.is_file(), reason="the shared catalogue is not beside the checkout")
def test_the_whole_shared_catalogue_is_imported_without_a_fault(settings: Settings) -> None:
    real_pack = load_settings(
        **{**settings.model_dump(), "store_dir": Path(__file__).parents[2] / "stores" / "jp-manga"}
    )
    report = run_import(real_pack, SHARED_CATALOG)
    assert (report.row_count, report.malformed_count, report.repeated_count) == (19_057, 0, 0)
    assert report.added_count + report.merged_count == 19_057
    assert report.merged_count > 600
    rows = [json.loads(line) for line in SHARED_CATALOG.read_bytes().splitlines()]
    imported = {one.series_id: one for one in GenerationImports(real_pack.index_dir).read()}
    assert len(imported) == 19_057
    for row in rows:
        series = imported[row["id"]]
        assert series.description is None
        assert series.age_rating is None
        assert series.volumes == row["volumes"]
        assert series.first_year == row["year"]
