"""One frozen, validated settings object, read from the environment (`MANGAASSIST_*`).

`docs/reference/settings.md` documents every field; a test fails when one is missing there.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field, SecretStr, ValidationError, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from mangaassist.domain.errors import ConfigurationError

Profile = Literal["embedded", "production"]


class Settings(BaseSettings):
    """Everything that may differ between two installations."""

    model_config = SettingsConfigDict(env_prefix="MANGAASSIST_", frozen=True, extra="forbid")

    profile: Profile = "embedded"
    env: Literal["dev", "staging", "prod"] = "dev"
    region: str = "local"
    data_dir: Path = Path("var")
    cache_dir: Path = Field(default_factory=lambda: Path.home() / ".cache" / "mangaassist")
    store_dir: Path | None = None

    host: str = "127.0.0.1"
    port: int = Field(default=8000, ge=1, le=65535)
    workers: int = Field(default=1, ge=1, le=64)
    mlflow_port: int = Field(default=5000, ge=1, le=65535)
    mlflow_url: str | None = None
    mlflow_experiment: str = "mangaassist"

    # traces
    trace_spool_mb: int = Field(default=1_024, ge=1)
    trace_hold_hours: float = Field(default=24.0, ge=2.0)
    otlp_url: str | None = None
    otlp_headers: SecretStr | None = None
    otlp_ingest_token: SecretStr | None = None

    # one override per port; unset means the profile's choice
    database_url: str | None = None
    redis_url: str | None = None
    config_file: Path | None = None
    encoder: Literal["auto", "off"] = "auto"
    encoder_path: Path | None = None
    generation: Literal["auto", "embedded", "bedrock", "openai_compatible"] = "auto"
    openai_base_url: str | None = None
    openai_api_key: SecretStr | None = None
    openai_model: str = "gpt-4o-mini"
    bedrock_region: str = "us-east-1"
    bedrock_endpoint_url: str | None = None
    bedrock_model_id: str = "anthropic.claude-3-5-sonnet-20240620-v1:0"

    # personal data in answers: our recognisers always, another detector beside them
    pii_detector: Literal["local", "comprehend", "presidio"] = "local"
    comprehend_region: str = "us-east-1"
    comprehend_endpoint_url: str | None = None

    # prompt injection: our rules and model always, another detector beside them
    injection_screen: Literal["local", "bedrock", "prompt_guard"] = "local"
    bedrock_guardrail_id: str | None = None
    bedrock_guardrail_version: str = "DRAFT"
    prompt_guard_path: Path | None = None

    # evidence of answers
    content_key: SecretStr | None = None
    content_retention_days: int = Field(default=30, ge=1, le=3_650)

    # identity
    session_secret: SecretStr | None = None
    jwt_secret: SecretStr | None = None
    jwt_public_key_file: Path | None = None
    jwt_issuer: str = "mangaassist"
    jwt_audience: str = "mangaassist"
    demo_customers: bool | None = None
    cors_origins: tuple[str, ...] = ()

    # limits
    max_message_chars: int = Field(default=4_000, ge=1)
    max_body_bytes: int = Field(default=65_536, ge=1_024)
    rate_limit_per_minute: int = Field(default=120, ge=1)
    max_concurrent_requests: int = Field(default=256, ge=1)
    history_turns: int = Field(default=6, ge=0, le=50)

    @model_validator(mode="after")
    def _production_is_explicit(self) -> Settings:
        """Production must name its stores and keys instead of falling back to embedded ones."""
        if self.profile != "production":
            return self
        missing = [
            f"MANGAASSIST_{name.upper()}"
            for name in ("database_url", "session_secret", "content_key", "mlflow_url")
            if getattr(self, name) is None
        ]
        if self.jwt_secret is None and self.jwt_public_key_file is None:
            missing.append("MANGAASSIST_JWT_SECRET or MANGAASSIST_JWT_PUBLIC_KEY_FILE")
        if missing:
            raise ValueError(
                f"profile 'production' needs {', '.join(missing)}; set them or use profile 'embedded'"
            )
        if self.demo_customers:
            raise ValueError(
                "demo customers are refused in profile 'production'; unset MANGAASSIST_DEMO_CUSTOMERS"
            )
        return self

    @model_validator(mode="after")
    def _shared_database_has_a_shared_content_key(self) -> Settings:
        """Servers on one database open each other's contents; the key of a data directory is its own."""
        shared = self.database_url is not None and not self.database_url.startswith("sqlite")
        if shared and self.content_key is None:
            raise ValueError(
                "a database that servers share needs MANGAASSIST_CONTENT_KEY, the same 64 hex characters for"
                " each of them (`openssl rand -hex 32`)"
            )
        return self

    @property
    def demo_customers_enabled(self) -> bool:
        """Whether tokens for the demo customers are issued; only in the embedded profile."""
        return self.profile == "embedded" if self.demo_customers is None else self.demo_customers

    @property
    def effective_database_url(self) -> str:
        """The configured database, else SQLite in the data directory."""
        return self.database_url or f"sqlite:///{self.data_dir / 'mangaassist.db'}"

    @property
    def effective_mlflow_url(self) -> str:
        """The configured MLflow server, else the embedded one."""
        return self.mlflow_url or f"http://127.0.0.1:{self.mlflow_port}"

    @property
    def effective_config_file(self) -> Path:
        """The watched runtime configuration."""
        return self.config_file or self.data_dir / "config.yaml"

    @property
    def spool_dir(self) -> Path:
        """Where finished traces wait for the worker."""
        return self.data_dir / "spool"

    @property
    def index_dir(self) -> Path:
        """Where index generations live."""
        return self.data_dir / "index"


def load_settings(**overrides: object) -> Settings:
    """Read the environment; raise `ConfigurationError` with a sentence that says what to change."""
    try:
        return Settings(**{name: value for name, value in overrides.items() if value is not None})  # type: ignore[arg-type]  # pydantic validates them
    except ValidationError as error:
        problems = "; ".join(
            f"{'.'.join(str(part) for part in issue['loc']) or 'settings'}: {issue['msg']}"
            for issue in error.errors()
        )
        raise ConfigurationError(f"the settings cannot be used: {problems}") from error


def find_store_dir(settings: Settings) -> Path:
    """Return the store pack's folder: the configured one, the checkout's, or the installed package's."""
    if settings.store_dir is not None:
        if not (settings.store_dir / "store.yaml").is_file():
            raise ConfigurationError(f"MANGAASSIST_STORE_DIR={str(settings.store_dir)!r} holds no store.yaml")
        return settings.store_dir
    package = Path(__file__).resolve().parents[1]
    for candidate in (package.parents[1] / "stores" / "jp-manga", package / "_stores" / "jp-manga"):
        if (candidate / "store.yaml").is_file():
            return candidate
    raise ConfigurationError("no store pack found; set MANGAASSIST_STORE_DIR to a folder with a store.yaml")
