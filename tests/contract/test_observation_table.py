"""What every table of observations promises: exact sums by unit, whatever the file's form."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import astuple, fields
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mangaassist.adapters.duckdb.layout import Columns
from mangaassist.adapters.duckdb.observations import open_observations
from mangaassist.domain.errors import InvalidRequestError
from mangaassist.domain.experiments import Metric
from mangaassist.ports.observations import ObservationTable, TableSums
from tests.support.memory_observations import InMemoryObservationTable, Row

START = datetime(2026, 11, 1, tzinfo=UTC)
METRICS = (
    Metric(name="liked", role="primary", kind="binary"),
    Metric(name="failed", role="guardrail", kind="binary", better="lower", absent=1.0),
    Metric(name="cost", role="secondary", better="lower"),
    Metric(name="spent", role="secondary", kind="ratio", denominator="orders"),
    Metric(name="latency", role="guardrail", kind="quantile", better="lower", quantile=0.9),
)


def observations(*, units: int = 300, seed: int = 0, mixed: int = 0) -> list[Row]:
    """Clustered rows with gaps: missing values, units without any, units without history."""
    random = Random(seed)
    rows: list[Row] = []
    for unit in range(units):
        arm, phase = random.choice(["control", "treatment"]), random.choice([1, 2])
        taste, history = random.random(), random.random() if random.random() < 0.6 else None
        for turn in range(random.choice([1, 1, 2, 4])):
            silent = random.random() < 0.2
            rows.append(
                {
                    "unit": f"unit's {unit}",
                    "arm": "treatment" if unit < mixed and turn == 0 else "control" if unit < mixed else arm,
                    "phase": phase,
                    "at": START + timedelta(minutes=unit),
                    "intent": random.choice(["faq", "promotion", ""]),
                    "liked": None if silent else int(random.random() < taste),
                    "failed": None if unit % 17 == 0 else int(random.random() < 0.1),
                    "cost": math.exp(random.gauss(-5, 1)),
                    "spent": random.random() * 30 if random.random() < 0.5 else None,
                    "orders": random.choice([0, 1, 2]),
                    "latency": 1_000 + random.random() * 500 * (1 + taste),
                    "pre_liked": history,
                }
            )
    return rows


def write(rows: Sequence[Row], path: Path) -> Path:
    if path.suffix == ".parquet":
        pq.write_table(pa.Table.from_pylist([dict(row) for row in rows]), path)
    elif path.suffix == ".csv":
        with path.open("w", newline="") as file:
            writer = csv.DictWriter(file, fieldnames=list(rows[0]))
            writer.writeheader()
            writer.writerows({**row, **({"at": _text(row["at"])} if "at" in row else {})} for row in rows)
    else:
        path.write_text("".join(json.dumps(row, default=_text) + "\n" for row in rows))
    return path


def _text(value: object) -> str:
    assert isinstance(value, datetime)
    return value.isoformat()


@contextmanager
def opened(rows: Sequence[Row], form: str, folder: Path) -> Iterator[ObservationTable]:
    if form == "memory":
        yield InMemoryObservationTable(rows)
        return
    path = write(rows, folder / f"observations.{form}")
    with open_observations(path, columns=Columns(), scratch=folder / "scratch", threads=1) as table:
        yield table


FORMS = ["memory", "parquet", "csv", "jsonl"]


def assert_same(found: TableSums, expected: TableSums) -> None:
    assert dict(found.units) == dict(expected.units)
    assert found.mixed_units == expected.mixed_units
    for name in ("sums", "quantiles"):
        ours = sorted(getattr(found, name), key=lambda one: astuple(one)[:4].__repr__())
        theirs = sorted(getattr(expected, name), key=lambda one: astuple(one)[:4].__repr__())
        assert len(ours) == len(theirs)
        for one, other in zip(ours, theirs, strict=True):
            for field in fields(one):
                here, there = getattr(one, field.name), getattr(other, field.name)
                assert here == (
                    pytest.approx(there, rel=1e-9, abs=1e-9) if isinstance(there, float) else there
                )


@pytest.mark.parametrize("form", FORMS)
def test_a_table_says_what_it_holds(form: str, tmp_path: Path) -> None:
    with opened(observations(), form, tmp_path) as table:
        shape = table.shape()

    assert shape.metrics == ("liked", "failed", "cost", "spent", "orders", "latency")
    assert shape.binary == {"liked", "failed"}
    assert shape.covariates == {"liked": "pre_liked"}
    assert (shape.arms, shape.phases) == (("control", "treatment"), (1, 2))
    assert shape.segments == ("", "faq", "promotion")
    assert (shape.first_at, shape.last_at) == (START, START + timedelta(minutes=299))


@pytest.mark.parametrize("form", FORMS[1:])
@pytest.mark.parametrize(("seed", "mixed"), [(1, 0), (2, 5)])
def test_sums_agree_with_plain_arithmetic(form: str, seed: int, mixed: int, tmp_path: Path) -> None:
    rows = observations(seed=seed, mixed=mixed)

    with opened(rows, form, tmp_path) as table:
        found = table.sums(METRICS, control="control")

    assert_same(found, InMemoryObservationTable(rows).sums(METRICS, control="control"))


@pytest.mark.parametrize("form", FORMS)
def test_only_what_was_seen_until_a_moment_counts(form: str, tmp_path: Path) -> None:
    rows = observations()
    moment = START + timedelta(minutes=100)

    with opened(rows, form, tmp_path) as table:
        found = table.sums(METRICS[:1], control="control", by_segment=False, until=moment)

    early = [row for row in rows if row["at"] <= moment]  # type: ignore[operator]
    assert_same(found, InMemoryObservationTable(early).sums(METRICS[:1], control="control", by_segment=False))


@pytest.mark.parametrize("form", FORMS)
def test_a_quantile_is_a_value_of_the_sample(form: str, tmp_path: Path) -> None:
    rows: list[Row] = [{"unit": n, "arm": "control", "latency": float(n)} for n in range(1, 101)]
    rows.append({"unit": 0, "arm": "treatment", "latency": 7.0})

    with opened(rows, form, tmp_path) as table:
        found = table.quantile_at(METRICS[-1], arm="control", levels=(0.5, 0.901, 0.95))

    assert found == (50.0, 91.0, 95.0)


@pytest.mark.parametrize("form", FORMS)
def test_an_unknown_control_is_refused(form: str, tmp_path: Path) -> None:
    with opened(observations(), form, tmp_path) as table, pytest.raises(InvalidRequestError, match="'base'"):
        table.sums(METRICS, control="base")


# --- what only files can be ---


def test_a_long_table_gives_the_same_sums_as_a_wide_one(tmp_path: Path) -> None:
    wide: list[Row] = [
        {"unit": n % 60, "arm": "control" if n % 60 < 30 else "treatment", "liked": n % 3 == 0, "cost": n / 7}
        for n in range(200)
    ]
    long = [
        {"unit": row["unit"], "arm": row["arm"], "metric": name, "value": float(row[name])}  # type: ignore[arg-type]
        for row in wide
        for name in ("liked", "cost")
    ]
    metrics = (METRICS[0], METRICS[2])

    with opened(long, "parquet", tmp_path) as table:
        found = table.sums(metrics, control="control")

    assert_same(found, InMemoryObservationTable(wide).sums(metrics, control="control"))


def test_a_metric_without_any_value_is_a_metric(tmp_path: Path) -> None:
    rows: list[Row] = [{"unit": n, "arm": "control", "liked": None, "cost": 1.0} for n in range(3)]

    with opened(rows, "jsonl", tmp_path) as table:
        (found,) = table.sums(METRICS[:1], control="control").sums

    assert (found.units, found.k, found.y) == (3, 0.0, 0.0)


@pytest.mark.parametrize(
    ("rows", "problem"),
    [
        ([{"unit": 1, "liked": 1}], "no column 'arm'"),
        ([{"unit": 1, "arm": "control", "note": "hello"}], "no numeric metric"),
        ([{"unit": 1, "arm": None, "liked": 1}, {"unit": 2, "arm": "a", "liked": 1}], "arms are expected"),
    ],
)
def test_a_file_that_holds_no_observations_is_refused(rows: list[Row], problem: str, tmp_path: Path) -> None:
    with pytest.raises(InvalidRequestError, match=problem), opened(rows, "jsonl", tmp_path):
        pass


@pytest.mark.parametrize("name", ["observations.parquet", "observations.txt", "missing.csv"])
def test_a_file_that_cannot_be_read_is_refused(name: str, tmp_path: Path) -> None:
    if not name.startswith("missing"):
        (tmp_path / name).write_text("nothing of the kind")

    with (
        pytest.raises(InvalidRequestError),
        open_observations(tmp_path / name, columns=Columns(), scratch=tmp_path),
    ):
        pass


def test_names_with_quotes_are_names(tmp_path: Path) -> None:
    rows: list[Row] = [{"unit": n, "arm": "it's", 'say "hi"': float(n)} for n in range(4)]

    with opened(rows, "parquet", tmp_path) as table:
        (found,) = table.sums([Metric(name='say "hi"', role="primary")], control="it's").sums

    assert found.y == 6.0
