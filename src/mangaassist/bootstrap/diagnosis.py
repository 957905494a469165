"""Looks at every port of an installation: which adapter is behind it, and whether it works now."""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

from mangaassist.adapters.embedded.configuration import WatchedFileConfiguration
from mangaassist.adapters.embedded.trace_backlog import SpoolBacklog
from mangaassist.bootstrap.clock import RandomIds, SystemClock
from mangaassist.bootstrap.encoder import find_cached_encoder
from mangaassist.bootstrap.observability import public_url, read_worker_status
from mangaassist.bootstrap.settings import Settings, find_store_dir
from mangaassist.domain.errors import MangaAssistError

State = Literal["ready", "down", "off"]
TIMEOUT_S = 15.0
HTTP_TIMEOUT_S = 3.0
STALE_STATUS = timedelta(seconds=60)


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One port: `down` is configured and unhealthy, `off` is not configured or optional and absent.

    `unlocks` says what is gained by making it ready.
    """

    port: str
    adapter: str
    state: State
    detail: str
    unlocks: str = ""


Check = Callable[[Settings], Awaitable[Finding]]


async def diagnose(settings: Settings) -> list[Finding]:
    """Check everything for real, each within a few seconds; never raises."""
    checks: dict[str, Check] = {
        "store pack": _check_store_pack,
        "database": _check_database,
        "answer cache": _check_answer_cache,
        "text model": _check_text_model,
        "encoder": _check_encoder,
        "configuration": _check_configuration,
        "experiments": _check_experiments,
        "trace spool": _check_spool,
        "worker": _check_worker,
        "MLflow": _check_mlflow,
        "browser": _check_browser,
        "node": _check_node,
    }
    return list(await asyncio.gather(*(_guarded(port, check, settings) for port, check in checks.items())))


async def _guarded(port: str, check: Check, settings: Settings) -> Finding:
    try:
        async with asyncio.timeout(TIMEOUT_S):
            return await check(settings)
    except TimeoutError:
        return Finding(port=port, adapter="?", state="down", detail=f"no answer within {TIMEOUT_S:g} s")
    except MangaAssistError as error:
        return Finding(port=port, adapter="?", state="down", detail=str(error))
    except Exception as error:  # the boundary of one check: a broken component must not hide the others
        return Finding(port=port, adapter="?", state="down", detail=f"{type(error).__name__}: {error}")


async def _check_store_pack(settings: Settings) -> Finding:
    from mangaassist.bootstrap.store_validation import validate_store

    directory = find_store_dir(settings)
    validation = await asyncio.to_thread(validate_store, directory)
    counts = ", ".join(f"{count:,} {name}" for name, count in validation.counts.items() if "." not in name)
    errors = validation.error_count
    return Finding(
        port="store pack",
        adapter=validation.manifest.name,
        state="down" if errors else "ready",
        detail=f"{errors} errors: run `mangaassist store validate {directory}`" if errors else counts,
    )


async def _check_database(settings: Settings) -> Finding:
    from mangaassist.adapters.sql.storage import SqlStorage

    url = settings.effective_database_url
    adapter = url.partition(":")[0].partition("+")[0]
    unlocks = "" if settings.database_url else "PostgreSQL: several servers share sessions and budgets"
    if adapter == "sqlite" and _is_new(url):
        return Finding(
            port="database", adapter=adapter, state="ready", detail="made at the first start", unlocks=unlocks
        )
    storage = await SqlStorage.open(url, clock=SystemClock(), ids=RandomIds())
    try:
        waiting = await storage.outbox.pending(limit=1_000)
    finally:
        await storage.close()
    detail = f"{public_url(url) if '@' in url else url}; {len(waiting)} feedback events wait for the worker"
    return Finding(port="database", adapter=adapter, state="ready", detail=detail, unlocks=unlocks)


def _is_new(sqlite_url: str) -> bool:
    return not Path(sqlite_url.removeprefix("sqlite:///")).exists()


async def _check_answer_cache(settings: Settings) -> Finding:
    if settings.redis_url is None:
        return Finding(
            port="answer cache",
            adapter="in process",
            state="ready",
            detail="every API process has its own",
            unlocks="Redis (MANGAASSIST_REDIS_URL): one cache for all processes, kept over restarts",
        )
    if find_spec("redis") is None:
        return _missing_extra("answer cache", "redis", extra="redis")
    from redis.asyncio import Redis

    client = Redis.from_url(settings.redis_url)
    try:
        await client.ping()
    finally:
        await client.aclose()
    return Finding(port="answer cache", adapter="redis", state="ready", detail=public_url(settings.redis_url))


async def _check_text_model(settings: Settings) -> Finding:
    if settings.generation == "bedrock":
        return await asyncio.to_thread(_check_bedrock, settings)
    if settings.generation == "openai_compatible" or settings.openai_base_url is not None:
        return await _check_openai_compatible(settings)
    return Finding(
        port="text model",
        adapter="embedded composer",
        state="ready",
        detail="deterministic, no key, answers from the store's facts alone",
        unlocks="AWS keys (MANGAASSIST_GENERATION=bedrock) or MANGAASSIST_OPENAI_BASE_URL: a language model",
    )


def _check_bedrock(settings: Settings) -> Finding:
    if find_spec("boto3") is None:
        return _missing_extra("text model", "bedrock", extra="aws")
    import boto3

    session = boto3.Session(region_name=settings.bedrock_region)
    if session.get_credentials() is None:
        return Finding(
            port="text model", adapter="bedrock", state="down", detail="no AWS credentials were found"
        )
    # asking who we are costs nothing; a generation would
    endpoint = settings.bedrock_endpoint_url
    if endpoint is not None:
        detail = f"credentials found; local endpoint {public_url(endpoint)} (not called)"
    else:
        caller = session.client("sts").get_caller_identity()
        detail = f"credentials of account {caller['Account'][-4:]:*>12} work in {settings.bedrock_region}"
    return Finding(
        port="text model",
        adapter="bedrock",
        state="ready",
        detail=f"{settings.bedrock_model_id}; {detail}; no tokens spent",
    )


async def _check_openai_compatible(settings: Settings) -> Finding:
    import httpx

    if settings.openai_base_url is None:
        return Finding(
            port="text model",
            adapter="openai_compatible",
            state="down",
            detail="set MANGAASSIST_OPENAI_BASE_URL",
        )
    key = settings.openai_api_key
    headers = {"authorization": f"Bearer {key.get_secret_value()}"} if key else {}
    url = public_url(settings.openai_base_url)
    try:
        async with httpx.AsyncClient(timeout=HTTP_TIMEOUT_S) as client:
            answer = await client.get(f"{settings.openai_base_url.rstrip('/')}/models", headers=headers)
    except httpx.HTTPError as error:
        state: State = "down"
        detail = f"{url} cannot be reached: {error}"
    else:
        # some servers do not list their models: any answer but a refused key shows that one is there
        state = "down" if answer.status_code in (401, 403) or answer.status_code >= 500 else "ready"
        detail = f"{settings.openai_model} at {url} (models: HTTP {answer.status_code})"
    return Finding(port="text model", adapter="openai_compatible", state=state, detail=detail)


async def _check_encoder(settings: Settings) -> Finding:
    unlocks = "search by meaning, the semantic cache, and the intent cascade's last stage"
    if settings.encoder == "off":
        return Finding(
            port="encoder", adapter="none", state="off", detail="MANGAASSIST_ENCODER=off", unlocks=unlocks
        )
    files = await asyncio.to_thread(find_cached_encoder, settings.cache_dir, read_contents=True)
    if files is None:
        return Finding(
            port="encoder",
            adapter="none",
            state="off",
            detail="not fetched yet: run `mangaassist models fetch`",
            unlocks=unlocks,
        )
    return Finding(port="encoder", adapter="onnx", state="ready", detail=f"{files.version}, digests match")


async def _check_configuration(settings: Settings) -> Finding:
    defaults = find_store_dir(settings) / "config.yaml"
    override = settings.effective_config_file
    document = WatchedFileConfiguration(defaults=defaults, override=override).current()
    source = str(override) if override.is_file() else "the store pack's defaults"
    return Finding(
        port="configuration",
        adapter="watched file",
        state="down" if document.problem else "ready",
        detail=document.problem or f"{source}, version {document.version}",
    )


async def _check_experiments(settings: Settings) -> Finding:
    from mangaassist.bootstrap.experiments import checked_plan

    running = ", ".join(one.key for one in checked_plan(settings).running)
    return Finding(
        port="experiments", adapter="watched file", state="ready", detail=f"running: {running or 'none'}"
    )


async def _check_spool(settings: Settings) -> Finding:
    directory = settings.spool_dir
    if not directory.is_dir():
        return Finding(port="trace spool", adapter="files", state="ready", detail="made at the first answer")
    writable = os.access(directory, os.W_OK)
    pending_mb = SpoolBacklog(directory).pending_bytes() / 1e6
    return Finding(
        port="trace spool",
        adapter="files",
        state="ready" if writable else "down",
        detail=f"{pending_mb:.1f} MB wait for MLflow" if writable else f"{directory} is not writable",
    )


async def _check_worker(settings: Settings) -> Finding:
    status = read_worker_status(settings)
    if status is None or status.get("state") == "stopped":
        return Finding(
            port="worker",
            adapter="process",
            state="off",
            detail="not running: `mangaassist up` or `mangaassist worker` starts it",
            unlocks="traces and feedback arrive in MLflow",
        )
    age = SystemClock().now() - datetime.fromisoformat(status["updated_at"])
    problem = status.get("problem")
    if age > STALE_STATUS:
        problem = f"silent for {age.total_seconds():.0f} s"
    detail = problem or f"{status['shipped']} traces and {status['feedback_shipped']} feedback events shipped"
    return Finding(port="worker", adapter="process", state="down" if problem else "ready", detail=detail)


async def _check_mlflow(settings: Settings) -> Finding:
    import httpx

    url = public_url(settings.effective_mlflow_url)
    adapter = "external" if settings.mlflow_url else "embedded"
    try:
        async with httpx.AsyncClient(timeout=HTTP_TIMEOUT_S, trust_env=False) as client:
            answer = await client.get(f"{settings.effective_mlflow_url.rstrip('/')}/health")
    except httpx.HTTPError as error:
        # the embedded one runs only beside `up`
        return Finding(
            port="MLflow",
            adapter=adapter,
            state="down" if settings.mlflow_url else "off",
            detail=f"no answer at {url} ({type(error).__name__}); traces wait in the spool",
            unlocks="traces, evaluations and the registry in MLflow's pages",
        )
    state: State = "ready" if answer.status_code == 200 else "down"
    return Finding(port="MLflow", adapter=adapter, state=state, detail=f"{url}: HTTP {answer.status_code}")


async def _check_browser(settings: Settings) -> Finding:
    return _optional_tool(
        "browser", ("chromium", "google-chrome"), unlocks="the browser tests of the chat page"
    )


async def _check_node(settings: Settings) -> Finding:
    return _optional_tool("node", ("node",), unlocks="synthesis of the AWS infrastructure with CDK")


def _optional_tool(port: str, names: tuple[str, ...], *, unlocks: str) -> Finding:
    path = next((path for name in names if (path := shutil.which(name))), None)
    if path is None:
        return Finding(port=port, adapter="none", state="off", detail="not installed", unlocks=unlocks)
    return Finding(port=port, adapter=Path(path).name, state="ready", detail=path)


def _missing_extra(port: str, adapter: str, *, extra: str) -> Finding:
    return Finding(
        port=port, adapter=adapter, state="down", detail=f"its driver is missing; install the `{extra}` extra"
    )
