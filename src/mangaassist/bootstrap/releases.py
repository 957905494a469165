"""Release bundles on this machine: composing the one that serves, keeping manifests, loading another."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import orjson

from mangaassist.adapters.embedded.configuration import deep_merge
from mangaassist.adapters.embedded.prompt_files import load_prompts
from mangaassist.adapters.embedded.template_files import load as load_templates
from mangaassist.bootstrap.generation import TextModels
from mangaassist.bootstrap.guardrail_models import load_guardrail_models
from mangaassist.bootstrap.guardrail_rulesets import RulesetFolders
from mangaassist.bootstrap.guardrails import build_guardrails
from mangaassist.domain.errors import ConfigurationError, ConflictError, NotFoundError
from mangaassist.ports.embedder import TextEmbedder
from mangaassist.ports.injection_screens import InjectionScreen
from mangaassist.ports.personal_data import PersonalDataDetector
from mangaassist.ports.store_services import Catalog
from mangaassist.serving.guardrails.redaction import Redactor
from mangaassist.serving.intent.cascade import IntentCascade
from mangaassist.serving.parts import PipelineParts
from mangaassist.serving.prompts.builder import PromptBuilder
from mangaassist.serving.retrieval.retriever import Retriever
from mangaassist.serving.runtime_configuration import (
    RuntimeConfiguration,
    compose_bundle,
    parse_runtime_configuration,
)
from mangaassist.serving.templates import TemplateLibrary


class Releases:
    """Builds `PipelineParts` from configuration and the components at hand.

    `classifier`, `retriever` and `embedder` are asked for anew at every build, so that an encoder that has
    arrived or a new index generation becomes part of the next bundle. Swapping the current parts is one
    assignment: requests that run keep the parts they began with.
    """

    def __init__(
        self,
        *,
        store_dir: Path,
        manifest_dir: Path,
        name: str,
        catalog: Catalog,
        models: TextModels,
        classifier: Callable[[], IntentCascade],
        retriever: Callable[[], Retriever],
        redactor: Redactor,
        detector: PersonalDataDetector | None = None,
        embedder: Callable[[], TextEmbedder | None] = lambda: None,
        screen: InjectionScreen | None = None,
    ) -> None:
        self._screen = screen
        self._embedder = embedder
        self._redactor = redactor
        self._detector = detector
        self._store_dir = store_dir
        self._manifest_dir = manifest_dir
        self._name = name
        self._catalog = catalog
        self._models = models
        self._classifier = classifier
        self._retriever = retriever
        pack = store_dir / "guardrails"
        self._rulesets = RulesetFolders(
            own=manifest_dir.parent / "guardrails", pack=pack, kept=manifest_dir / "rulesets"
        )
        self._guardrail_models = load_guardrail_models(pack)
        self._current: PipelineParts | None = None
        self._others: dict[str, PipelineParts] = {}

    def activate(self, content: dict[str, object]) -> PipelineParts:
        """Build the bundle of a configuration document and serve it; raises `ConfigurationError`."""
        configuration = parse_runtime_configuration(content)
        if configuration.bundle is not None:
            parts = self._load(configuration.bundle)
        else:
            parts = self._build(configuration)
            self._keep(parts, content)
        self._current = parts
        return parts

    def parts_of(self, version: str | None) -> PipelineParts:
        """Return the parts that serve now, or those of another bundle known to this machine."""
        if self._current is None:
            raise ConfigurationError("no release bundle is active")
        if version is None or version == self._current.bundle.version:
            return self._current
        return self._load(version)

    def variant(
        self, content: Mapping[str, object], overrides: Iterable[Mapping[str, object]]
    ) -> PipelineParts:
        """Build, and keep, the bundle of a document with changes laid over it, without serving it.

        Raises `ConfigurationError`, or what `parts_of` raises for the document's own pinned bundle.
        """
        pinned = content.get("bundle")
        changed = self._manifest(str(pinned)) if pinned is not None else dict(content)
        for layer in overrides:
            changed = deep_merge(changed, layer)
        parts = self._build(parse_runtime_configuration(changed))
        self._keep(parts, changed)
        self._others[parts.bundle.version] = parts
        return parts

    def nearest(self, version: str) -> PipelineParts:
        """Return the parts of a bundle as near as the components at hand come to it.

        A bundle whose index, rules or prompts are gone is composed with today's; one whose manifest is not
        here is answered by the bundle that serves now.
        """
        try:
            return self.parts_of(version)
        except ConflictError:
            return self._build(parse_runtime_configuration(self._manifest(version)))
        except NotFoundError:
            return self.parts_of(None)

    def known(self) -> list[str]:
        """Return the versions whose manifests are kept here."""
        return sorted(path.stem for path in self._manifest_dir.glob("*.json"))

    def _load(self, version: str) -> PipelineParts:
        if version in self._others:
            return self._others[version]
        parts = self._build(parse_runtime_configuration(self._manifest(version)))
        if parts.bundle.version != version:
            raise ConflictError(
                f"release bundle {version!r} was composed with components that this server no longer has; "
                f"the same configuration now gives {parts.bundle.version!r}"
            )
        self._others[version] = parts
        return parts

    def _manifest(self, version: str) -> dict[str, object]:
        path = self._manifest_dir / f"{version}.json"
        if "/" in version or not path.is_file():
            raise NotFoundError(
                f"no release bundle {version!r} here; known: {', '.join(self.known()) or 'none'}"
            )
        return {**orjson.loads(path.read_bytes()), "bundle": None}

    def _keep(self, parts: PipelineParts, content: dict[str, object]) -> None:
        """Keep the manifest and the very ruleset of a bundle, so that it can be served again."""
        self._manifest_dir.mkdir(parents=True, exist_ok=True)
        path = self._manifest_dir / f"{parts.bundle.version}.json"
        ruleset = parts.guardrails.ruleset
        self._rulesets.keep(ruleset)
        if not path.is_file():
            content = {**content, "guardrail_ruleset": ruleset.version}
            temporary = path.with_suffix(".tmp")
            temporary.write_bytes(orjson.dumps(content, option=orjson.OPT_INDENT_2))
            temporary.replace(path)

    def _build(self, configuration: RuntimeConfiguration) -> PipelineParts:
        classifier, retriever = self._classifier(), self._retriever()
        ruleset = self._rulesets.find(configuration.guardrail_ruleset)
        guardrails = build_guardrails(
            ruleset,
            catalog=self._catalog,
            models=self._guardrail_models,
            redactor=self._redactor,
            detector=self._detector,
            embedder=self._embedder(),
            screen=self._screen,
        )
        templates = TemplateLibrary.from_mapping(load_templates(self._store_dir / "templates"))
        missing = [
            route.template
            for route in configuration.routes.values()
            if route.template is not None and route.template not in templates
        ]
        if missing:
            raise ConfigurationError(f"routes name templates that do not exist: {', '.join(missing)}")
        bundle = compose_bundle(
            configuration,
            name=self._name,
            intent_classifier_version=classifier.version,
            embedding_version=retriever.embedding_version,
            reranker_version=retriever.reranker_version,
            retriever_policy_version=retriever.policy_version,
            knowledge_version=retriever.knowledge_version,
            guardrail_ruleset_version=guardrails.version,
            template_version=templates.version,
        )
        return PipelineParts(
            bundle=bundle,
            deployment_stage=configuration.deployment_stage,
            classifier=classifier,
            retriever=retriever,
            prompts=self._prompts(configuration),
            templates=templates,
            guardrails=guardrails,
            models=self._models.of(bundle.models),
            budget_policy=configuration.budget_policy,
            cache_min_similarity=configuration.cache.min_similarity,
            cache_ttl_s=configuration.cache.ttl_s,
            sampling=configuration.sampling_policy,
            prices=configuration.prices_in_force,
        )

    def _prompts(self, configuration: RuntimeConfiguration) -> PromptBuilder:
        known = {
            (template.intent, template.version): template
            for template in load_prompts(self._store_dir / "prompts")
        }
        wanted = {"base": "1.0", **configuration.prompts}
        missing = [
            f"{intent} v{version}" for intent, version in wanted.items() if (intent, version) not in known
        ]
        if missing:
            raise ConfigurationError(f"prompt files are missing: {', '.join(missing)}")
        chosen = {intent: known[intent, version] for intent, version in wanted.items()}
        return PromptBuilder(
            {intent: chosen[intent] for intent in configuration.prompts if intent != "base"}, chosen["base"]
        )
