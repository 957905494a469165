"""The ASGI factory that uvicorn starts: `mangaassist.web.main:create_application`."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from starlette.applications import Starlette

from mangaassist.bootstrap.container import Container, open_container
from mangaassist.bootstrap.logs import log_to_stdout
from mangaassist.bootstrap.secrets import local_secret
from mangaassist.bootstrap.settings import Settings, load_settings
from mangaassist.domain.errors import ConfigurationError
from mangaassist.serving.feedback_privacy import RedactedFeedback
from mangaassist.web.app import allow_origins, create_app
from mangaassist.web.identity import CustomerKeys, IdentityService
from mangaassist.web.limits import ConcurrencyGate, RateLimiter
from mangaassist.web.metrics import ServingMetrics
from mangaassist.web.services import ComponentHealth, SpanIntake, WebLimits, WebServices


def create_application() -> Starlette:
    """Return the application of this process, configured by the environment."""
    settings = load_settings()
    log_to_stdout()

    @asynccontextmanager
    async def opened() -> AsyncIterator[WebServices]:
        async with open_container(settings) as container:
            yield web_services(container)

    app = create_app(opened)
    allow_origins(app, settings.cors_origins)
    return app


def web_services(container: Container) -> WebServices:
    """Return what the routes need of a container."""
    settings = container.settings
    demo = container.store.customers.customers() if settings.demo_customers_enabled else ()
    return WebServices(
        answers=container.pipeline,
        feedback=RedactedFeedback(container.storage.feedback, container.pipeline.services.redactor),
        records=container.storage.sessions,
        archive=container.archive,
        identity=_identity(container),
        rate_limiter=RateLimiter(per_minute=settings.rate_limit_per_minute, clock=container.clock),
        gate=ConcurrencyGate(limit=settings.max_concurrent_requests),
        limits=WebLimits(
            max_message_chars=settings.max_message_chars, max_body_bytes=settings.max_body_bytes
        ),
        metrics=ServingMetrics(),
        clock=container.clock,
        ids=container.ids,
        health=lambda: [
            ComponentHealth(name=part.port, adapter=part.adapter, state=part.state, detail=part.detail)
            for part in container.health()
        ],
        release_bundle=lambda: container.releases.parts_of(None).bundle.version,
        trace_counters=container.traces.counters,
        demo_customers=demo,
        trace_url=container.trace_url,
        allowed_origins=settings.cors_origins,
        span_intake=_span_intake(container),
    )


def _span_intake(container: Container) -> SpanIntake | None:
    token = container.settings.otlp_ingest_token
    if token is None:
        return None
    return SpanIntake(token=token.get_secret_value(), take=container.span_intake.take)


def _identity(container: Container) -> IdentityService:
    settings = container.settings
    session_secret = settings.session_secret
    return IdentityService(
        session_secret=session_secret.get_secret_value()
        if session_secret
        else local_secret(settings.data_dir / "keys" / "session.key"),
        customers=_customer_keys(settings),
        clock=container.clock,
        ids=container.ids,
    )


def _customer_keys(settings: Settings) -> CustomerKeys:
    public_key = None
    if settings.jwt_public_key_file is not None:
        try:
            public_key = settings.jwt_public_key_file.read_text(encoding="ascii")
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigurationError(f"MANGAASSIST_JWT_PUBLIC_KEY_FILE cannot be read: {error}") from error
    secret = settings.jwt_secret.get_secret_value() if settings.jwt_secret else None
    if public_key is None and secret is None:
        secret = local_secret(settings.data_dir / "keys" / "customers.key")
    return CustomerKeys(
        issuer=settings.jwt_issuer, audience=settings.jwt_audience, secret=secret, public_key=public_key
    )
