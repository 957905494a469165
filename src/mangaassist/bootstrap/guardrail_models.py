"""What the guardrail stages of a store learned or were told, read from the pack's `guardrails` folder."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import orjson
import yaml

from mangaassist.bootstrap.injection import load_injection_model
from mangaassist.domain.errors import ConfigurationError
from mangaassist.serving.guardrails.claims.grounding_model import GroundingModel
from mangaassist.serving.guardrails.claims.lexicon import Lexicon
from mangaassist.serving.guardrails.claims.support import SupportReader
from mangaassist.serving.guardrails.injection.model import InjectionModel

GROUNDING_FOLDER = "grounding"


@dataclass(frozen=True, slots=True, kw_only=True)
class GuardrailModels:
    """The models of the stages that have one."""

    support: SupportReader
    grounding: GroundingModel
    injection: InjectionModel | None = None


def load_guardrail_models(folder: Path) -> GuardrailModels:
    """Read the models below a `guardrails` folder; raises `ConfigurationError` naming the file."""
    return GuardrailModels(
        support=load_support_reader(folder),
        grounding=load_grounding_model(folder / GROUNDING_FOLDER / "model.json"),
        injection=load_injection_model(folder),
    )


def load_support_reader(folder: Path) -> SupportReader:
    """Return the reader of texts under the folder's lexicon."""
    path = folder / GROUNDING_FOLDER / "lexicon.yaml"
    try:
        document = yaml.load(
            path.read_text(encoding="utf-8"), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader)
        )
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigurationError(f"{path.name} cannot be read: {error}") from error
    if not isinstance(document, dict):
        raise ConfigurationError(f"{path.name} must hold a mapping")
    return SupportReader(Lexicon.from_document(document))


def load_grounding_model(path: Path) -> GroundingModel:
    """Return the model of a file."""
    try:
        document = orjson.loads(path.read_bytes())
    except (OSError, orjson.JSONDecodeError) as error:
        raise ConfigurationError(f"{path.name} cannot be read: {error}") from error
    if not isinstance(document, dict):
        raise ConfigurationError(f"{path.name} must hold an object")
    return GroundingModel.from_document(document)
