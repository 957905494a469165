"""route_intent: which handler answers, with which model, at which service level."""

from __future__ import annotations

from mangaassist.domain.bundle import Route
from mangaassist.domain.errors import ConfigurationError, DependencyError
from mangaassist.domain.intents import IntentDecision
from mangaassist.ports.budgets import BudgetStore
from mangaassist.serving.exchange import Exchange


async def route_intent(exchange: Exchange, decision: IntentDecision, *, budgets: BudgetStore) -> Route:
    """Choose the route and reserve the tokens it may use."""
    parts = exchange.parts
    with exchange.recorder.span("route_intent") as span:
        route = parts.bundle.routes[decision.intent.value]
        exchange.handler = route.handler
        if route.model is not None:
            await _reserve(exchange, budgets)
        span.set(
            intent=decision.intent.value,
            handler=route.handler,
            template=route.template,
            service_level=exchange.service_level,
            reserved_tokens=exchange.reservation.reserved_tokens if exchange.reservation else 0,
        )
    return route


async def _reserve(exchange: Exchange, budgets: BudgetStore) -> None:
    try:
        reservation = await budgets.reserve(
            exchange.request.session_id, exchange.response_id, exchange.parts.budget_policy
        )
    except DependencyError as error:
        # without a budget the answer must not cost anything
        exchange.degraded.append(f"budget: {error}")
        exchange.service_level = "minimal"
        return
    exchange.reservation = reservation
    exchange.service_level = reservation.level


def select_model(exchange: Exchange, route: Route) -> str:
    """Return the key of the model: the reduced one when tokens run low, the small one for short messages."""
    if exchange.service_level == "reduced" and route.reduced_model is not None:
        return route.reduced_model
    words = len(exchange.request.message.split())
    if route.short_message_model is not None and words <= (route.short_message_words or 0):
        return route.short_message_model
    if route.model is None:
        raise ConfigurationError(f"handler {route.handler!r} has no model")
    return route.model
