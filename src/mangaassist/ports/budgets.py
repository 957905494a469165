"""Token budgets of sessions."""

from __future__ import annotations

from typing import Protocol

from mangaassist.domain.budget import BudgetPolicy, Reservation


class BudgetStore(Protocol):
    """Reserves before an answer, settles after it.

    Every implementation promises: reservations are atomic across threads, processes and machines: the sum of
    settled and reserved tokens never exceeds the limit; settling is idempotent; usage above the
    reservation is booked in full; a reservation that is never settled expires (its tokens count as
    used until then).
    """

    async def reserve(self, session_id: str, reservation_id: str, policy: BudgetPolicy) -> Reservation:
        """Reserve the largest amount that fits: full, else reduced, else minimal with 0 tokens."""
        ...

    async def settle(self, reservation: Reservation, *, used_tokens: int) -> None:
        """Replace the reservation by the real usage."""
        ...
