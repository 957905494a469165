"""The runtime configuration with what the settings say of generation."""

from __future__ import annotations

from mangaassist.bootstrap.settings import Settings


def configured_document(content: dict[str, object], settings: Settings) -> dict[str, object]:
    """Return the document with every model's provider replaced, where `MANGAASSIST_GENERATION` names one.

    The embedded composer becomes the fallback model, so that a provider that is down still gets its
    shoppers a grounded answer.
    """
    if settings.generation == "auto":
        return content
    models = content.get("models")
    if not isinstance(models, dict):
        return content
    override: dict[str, object] = {"provider": "embedded", "model_id": "grounded-composer-1"}
    if settings.generation != "embedded":
        model_id = settings.bedrock_model_id if settings.generation == "bedrock" else settings.openai_model
        override = {
            "provider": settings.generation,
            "model_id": model_id,
            "fallback_provider": "embedded",
            "fallback_model_id": "grounded-composer-1",
        }
    return {**content, "models": {key: {**dict(section), **override} for key, section in models.items()}}
