"""Answers made without a model: handlers `template` and `api_template`, and every fallback."""

from __future__ import annotations

from mangaassist.serving.exchange import Exchange


def answer_from_template(exchange: Exchange, name: str) -> None:
    """Render the template `name` as the answer."""
    templates = exchange.parts.templates
    exchange.text = templates.render(name, exchange.facts)
    exchange.prompt_version = templates.version_of(name)
    exchange.model_id = "none"


def fallback_text(exchange: Exchange) -> str:
    """Return the text shown when generation failed or its answer was refused; fits the intent."""
    templates = exchange.parts.templates
    understood = exchange.understood
    name = f"fallback_{understood.decision.intent.value}" if understood else "fallback"
    return templates.render(name if name in templates else "fallback", exchange.facts)
