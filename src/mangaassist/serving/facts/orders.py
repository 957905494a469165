"""Which of a customer's orders a message means."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from mangaassist.domain.dialogue import Reading
from mangaassist.domain.intents import Intent
from mangaassist.domain.store import Order, OrderState

MAX_ORDERS: Final = 4
_STATES: Final[tuple[tuple[str, frozenset[OrderState]], ...]] = (
    (r"\bpre-?orders?", frozenset({"preorder"})),
    (r"\bback-?order", frozenset({"backordered"})),
    (
        r"\b(?:refund\w*|money back)",
        frozenset({"refunded", "partially_refunded", "returned", "return_in_transit"}),
    ),
    (r"\breturns?\b|\breturned\b", frozenset({"return_requested", "return_in_transit", "returned"})),
    (r"\bcancel+ed\b", frozenset({"cancelled"})),
    (r"\b(?:lost|never (?:came|arrived))", frozenset({"lost", "delayed", "shipped"})),
    (r"\b(?:delay\w*|late)\b", frozenset({"delayed", "shipped", "out_for_delivery"})),
    (r"\b(?:says|marked(?: as)?) delivered", frozenset({"delivered"})),
    (r"\b(?:out for delivery|arriv\w+ today)", frozenset({"out_for_delivery"})),
    (r"\bpayment (?:failed|problem)", frozenset({"payment_failed"})),
)
_CANCELLABLE: Final = frozenset[OrderState]({"placed", "paid", "preparing", "backordered", "preorder"})
_RETURNABLE: Final = frozenset[OrderState]({"delivered", "partially_refunded", "return_requested"})


class OrderChooser:
    """Chooses orders by what the message names: titles, states, "all"; else the latest that makes sense."""

    def __init__(self) -> None:
        self._states = tuple((re.compile(pattern), states) for pattern, states in _STATES)
        self._all = re.compile(
            r"\b(?:all (?:of )?(?:my )?(?:open )?orders|my orders|orders|list my|every order|both orders)\b"
        )
        self._cancel = re.compile(r"\bcancel\b|\bcall off\b")

    def choose(self, orders: Sequence[Order], reading: Reading, intent: Intent) -> tuple[Order, ...]:
        """Return the orders meant, newest first; `orders` are the customer's, newest first."""
        text = reading.text.casefold()
        focus = reading.state.focus_order_id
        if reading.follow_up and focus is not None and not reading.mentioned_series:
            meant = tuple(order for order in orders if order.order_id == focus)
            if meant:
                return meant
        wanted = {*reading.mentioned_series, *reading.stated.like_series}
        named = [order for order in orders if any(item.series_id in wanted for item in order.items)]
        if wanted and not named:
            return ()
        pool = named or list(orders)
        if named and reading.volumes:
            exact = [one for one in named if any(item.volume in reading.volumes for item in one.items)]
            pool = exact or named
        for pattern, states in self._states:
            if pattern.search(text):
                in_state = [order for order in pool if order.state in states]
                if in_state:
                    return tuple(in_state[:MAX_ORDERS])
        if named or self._all.search(text):
            return tuple(pool[:MAX_ORDERS])
        if self._cancel.search(text):
            open_orders = [order for order in pool if order.state in _CANCELLABLE]
            if open_orders:
                return tuple(open_orders[:1])
        if intent is Intent.RETURN_REQUEST:
            returnable = [order for order in pool if order.state in _RETURNABLE]
            return tuple((returnable or pool)[:1])
        return tuple(pool[:1])
