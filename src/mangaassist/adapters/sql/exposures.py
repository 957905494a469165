"""Who was exposed to which arm of an experiment, and what they were answered."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from mangaassist.adapters.sql.database import Database, Row, Write, moment_of, timestamp
from mangaassist.adapters.sql.records import RECORD_COLUMNS, decoded_record
from mangaassist.domain.experiments import Exposure
from mangaassist.ports.experiments import ObservedAnswer

_COLUMNS: Final = ("experiment", "phase", "unit_id", "arm", "release_bundle", "exposed_at")

_RECORD: Final = (
    f"INSERT INTO experiment_exposures ({', '.join(_COLUMNS)})"
    f" VALUES ({', '.join(f':{name}' for name in _COLUMNS)}) ON CONFLICT DO NOTHING",
)

_RESPONSE_ID: Final = len(_COLUMNS) + RECORD_COLUMNS.index("response_id")

_OF_EXPERIMENT: Final = (
    f"SELECT {', '.join(_COLUMNS)} FROM experiment_exposures"
    " WHERE experiment = :experiment ORDER BY phase, unit_id"
)

# A unit is read in the phase that met it first: what later phases see of it follows what that one did to it.
_ANSWERS: Final = (
    f"SELECT {', '.join(f'exposed_{name}' for name in _COLUMNS)}, {', '.join(RECORD_COLUMNS)}, given.feedback"
    f" FROM (SELECT {', '.join(f'e.{name} AS exposed_{name}' for name in _COLUMNS)},"
    f" {', '.join(f'r.{name}' for name in RECORD_COLUMNS)}"
    " FROM request_records AS r JOIN experiment_exposures AS e ON e.experiment = :experiment AND e.unit_id ="
    " CASE WHEN SUBSTR(r.owner, 1, 9) = 'customer:' THEN SUBSTR(r.owner, 10) ELSE r.session_id END"
    " WHERE (r.created_at, r.response_id) > (:since, :after)"
    " AND e.phase = (SELECT MIN(phase) FROM experiment_exposures AS earliest"
    " WHERE earliest.experiment = e.experiment AND earliest.unit_id = e.unit_id)"
    " ORDER BY r.created_at, r.response_id LIMIT :limit) AS page"
    " LEFT JOIN (SELECT response_id AS of_response, feedback FROM feedback) AS given"
    " ON given.of_response = page.response_id"
    " ORDER BY created_at, response_id"
)


class SqlExposureStore:
    """An `ExposureStore` in the database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def record(self, exposures: Sequence[Exposure]) -> None:
        """Store exposures without waiting for an fsync: the log keeps their order before later answers."""
        for exposure in exposures:
            await self._database.write_volatile(
                Write(
                    statements=_RECORD,
                    parameters={
                        "experiment": exposure.experiment,
                        "phase": exposure.phase,
                        "unit_id": exposure.unit_id,
                        "arm": exposure.arm,
                        "release_bundle": exposure.release_bundle,
                        "exposed_at": timestamp(exposure.exposed_at),
                    },
                    lock_key=exposure.unit_id,
                    outcome=lambda results: None,
                )
            )

    async def of_experiment(self, experiment: str) -> tuple[Exposure, ...]:
        """Return every exposure, ordered by phase and unit."""
        rows = await self._database.read(_OF_EXPERIMENT, {"experiment": experiment})
        return tuple(_exposure(row) for row in rows)

    async def answers(
        self, experiment: str, *, since: datetime, after: str = "", limit: int
    ) -> tuple[ObservedAnswer, ...]:
        """Return a page of answers; feedback of one answer never falls on two pages."""
        rows = await self._database.read(
            _ANSWERS,
            {"experiment": experiment, "since": timestamp(since), "after": after, "limit": limit},
        )
        given: dict[str, list[Row]] = {}
        for row in rows:
            given.setdefault(row[_RESPONSE_ID], []).append(row)
        return tuple(
            ObservedAnswer(
                exposure=_exposure(found[0][: len(_COLUMNS)]),
                record=decoded_record(found[0][len(_COLUMNS) : -1]),
                feedback=frozenset(row[-1] for row in found if row[-1] is not None),
            )
            for found in given.values()
        )


def _exposure(row: Row) -> Exposure:
    values = dict(zip(_COLUMNS, row, strict=True))
    return Exposure(**{**values, "exposed_at": moment_of(values["exposed_at"])})
