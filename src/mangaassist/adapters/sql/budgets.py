"""Token budgets: a ledger of reservations, written under the lock of its session.

Neither reserving nor settling waits for an fsync. After a power cut the last entries of the ledger may
be missing, and the session gets those tokens back; it never loses any.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Final

from mangaassist.adapters.sql.database import Database, Rows, Write, timestamp
from mangaassist.domain.budget import BudgetPolicy, Reservation
from mangaassist.ports.clock import Clock

RESERVATION_TTL_S: Final = 300.0
"""Longer than any answer may take; afterwards the tokens of an abandoned answer are free again."""

_SPOKEN_FOR: Final = (
    "COALESCE(SUM(CASE WHEN used_tokens IS NOT NULL THEN used_tokens"
    " WHEN expires_at > :now THEN reserved_tokens ELSE 0 END), 0)"
)
_FULL_FITS: Final = "remaining >= :full_tokens AND remaining >= :reduced_below_tokens"

# 1. Lock the session's row: what the next statement sees, no other reservation can change.
# 2. Reserve what fits, if anything does.
# 3. Read what was reserved (nothing: minimal) and what is left.
_RESERVE: Final = (
    "INSERT INTO budgets (session_id, limit_tokens, updated_at)"
    " VALUES (:session_id, :limit_tokens, :now)"
    " ON CONFLICT (session_id) DO UPDATE"
    " SET limit_tokens = excluded.limit_tokens, updated_at = excluded.updated_at",
    "INSERT INTO budget_reservations (reservation_id, session_id, level, reserved_tokens, expires_at)"
    f" SELECT :reservation_id, :session_id, CASE WHEN {_FULL_FITS} THEN 'full' ELSE 'reduced' END,"
    f" CASE WHEN {_FULL_FITS} THEN :full_tokens ELSE :reduced_tokens END, :expires_at"
    f" FROM (SELECT :limit_tokens - {_SPOKEN_FOR} AS remaining FROM budget_reservations"
    " WHERE session_id = :session_id) AS budget"
    f" WHERE ({_FULL_FITS}) OR remaining >= :reduced_tokens"
    " ON CONFLICT (reservation_id) DO NOTHING",
    f"SELECT :limit_tokens - {_SPOKEN_FOR},"
    " MAX(CASE WHEN reservation_id = :reservation_id THEN level END),"
    " MAX(CASE WHEN reservation_id = :reservation_id THEN reserved_tokens END)"
    " FROM budget_reservations WHERE session_id = :session_id",
)

# A minimal reservation has no entry yet, nor has one that a power cut took; its usage is booked all the same.
_SETTLE: Final = (
    "INSERT INTO budget_reservations"
    " (reservation_id, session_id, level, reserved_tokens, used_tokens, expires_at)"
    " VALUES (:reservation_id, :session_id, :level, :reserved_tokens, :used_tokens, :now)"
    " ON CONFLICT (reservation_id) DO UPDATE SET used_tokens = excluded.used_tokens"
    " WHERE budget_reservations.used_tokens IS NULL",
)


class SqlBudgetStore:
    """A `BudgetStore` in the database, exact across processes and machines."""

    def __init__(
        self, database: Database, *, clock: Clock, reservation_ttl_s: float = RESERVATION_TTL_S
    ) -> None:
        self._database = database
        self._clock = clock
        self._ttl = timedelta(seconds=reservation_ttl_s)

    async def reserve(self, session_id: str, reservation_id: str, policy: BudgetPolicy) -> Reservation:
        """Reserve the largest amount that fits; the same reservation id again returns the first answer."""
        now = self._clock.now()

        def outcome(results: Sequence[Rows]) -> Reservation:
            remaining, level, reserved = results[-1][0]
            return Reservation(
                reservation_id=reservation_id,
                session_id=session_id,
                level=level or "minimal",
                reserved_tokens=reserved or 0,
                remaining_tokens=max(0, int(remaining)),
            )

        return await self._database.write_volatile(
            Write(
                statements=_RESERVE,
                parameters={
                    "session_id": session_id,
                    "reservation_id": reservation_id,
                    "limit_tokens": policy.limit_tokens,
                    "full_tokens": policy.full_reservation_tokens,
                    "reduced_tokens": policy.reduced_reservation_tokens,
                    "reduced_below_tokens": policy.limit_tokens * policy.reduced_below_ratio,
                    "now": timestamp(now),
                    "expires_at": timestamp(now + self._ttl),
                },
                lock_key=session_id,
                outcome=outcome,
            )
        )

    async def settle(self, reservation: Reservation, *, used_tokens: int) -> None:
        """Book the real usage; settling again changes nothing."""
        if used_tokens == 0 and reservation.level == "minimal":
            return  # nothing was reserved and nothing used
        await self._database.write_volatile(
            Write(
                statements=_SETTLE,
                parameters={
                    "reservation_id": reservation.reservation_id,
                    "session_id": reservation.session_id,
                    "level": reservation.level,
                    "reserved_tokens": reservation.reserved_tokens,
                    "used_tokens": used_tokens,
                    "now": timestamp(self._clock.now()),
                },
                lock_key=reservation.session_id,
                outcome=lambda results: None,
            )
        )
