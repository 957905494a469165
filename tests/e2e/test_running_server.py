"""What operators rely on: live configuration, durable turns, shared sessions, budgets that hold."""

from __future__ import annotations

import asyncio
import os
import signal
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support.postgres import PostgresForTests
from tests.support.product import RunningProduct, running_product


def ask(
    product: RunningProduct, message: str, *, token: str, session_id: str | None = None
) -> httpx.Response:
    body = {"message": message, **({"session_id": session_id} if session_id else {})}
    headers = {"authorization": f"Bearer {token}"}
    return httpx.post(f"{product.url}/v1/chat", json=body, headers=headers, timeout=30)


def test_a_changed_route_is_in_force_within_a_second_and_a_broken_file_changes_nothing(
    tmp_path: Path,
) -> None:
    with running_product(tmp_path) as product:
        token = product.visitor()
        question = "how long does standard shipping take in the US?"
        before = ask(product, question, token=token).json()
        override = tmp_path / "config.yaml"
        override.write_text(
            'release: "hotfix"\nroutes: {faq: {handler: template, model: null, template: fallback}}\n'
        )
        after = _until(
            lambda: ask(product, question, token=token).json(),
            lambda answer: answer["release_bundle"] != before["release_bundle"],
        )
        assert after["route"] == "template"
        assert after["release_bundle"].startswith("hotfix-")
        override.write_text("routes: [")
        _until(
            lambda: httpx.get(f"{product.url}/readyz").json(),
            lambda ready: "config.yaml cannot be read" in str(ready["components"]),
        )
        kept = ask(product, "do you gift wrap?", token=token).json()
        assert kept["release_bundle"] == after["release_bundle"]


def _until(
    read: Callable[[], dict[str, Any]], accept: Callable[[dict[str, Any]], bool], *, seconds: float = 3.0
) -> dict[str, Any]:
    end = time.monotonic() + seconds
    while True:
        value = read()
        if accept(value):
            return value
        assert time.monotonic() < end, value
        time.sleep(0.1)


def test_a_conversation_survives_a_restart(tmp_path: Path) -> None:
    with running_product(tmp_path) as product:
        token = product.visitor()
        first = ask(product, "something like Berserk but gentler", token=token).json()
        assert first["products"]
    with running_product(tmp_path) as product:
        second = ask(
            product, "is the first one finished?", token=token, session_id=first["session_id"]
        ).json()
        assert second["intent"] == "product_question"
        assert any(card["title"].split(",")[0] in second["text"] for card in first["products"])


def test_killing_the_server_in_the_middle_of_500_turns_loses_no_acknowledged_turn(tmp_path: Path) -> None:
    acknowledged: list[str] = []

    async def load(product: RunningProduct, token: str) -> None:
        async with httpx.AsyncClient(
            base_url=product.url, headers={"authorization": f"Bearer {token}"}, timeout=10, trust_env=False
        ) as client:

            async def one(number: int) -> None:
                try:
                    answer = await client.post("/v1/chat", json={"message": f"hello number {number}"})
                except httpx.HTTPError:
                    return
                if answer.status_code == 200:
                    acknowledged.append(answer.json()["response_id"])
                if len(acknowledged) == 250:
                    os.killpg(product.process.pid, signal.SIGKILL)

            gate = asyncio.Semaphore(16)

            async def bounded(number: int) -> None:
                async with gate:
                    await one(number)

            await asyncio.gather(*(bounded(number) for number in range(500)))

    with running_product(tmp_path) as product:
        asyncio.run(load(product, product.visitor()))
        product.process.wait(10)
    assert len(acknowledged) >= 250
    with sqlite3.connect(tmp_path / "mangaassist.db") as database:
        stored = [row[0] for row in database.execute("select response_id from turns")]
    database.close()
    assert len(stored) == len(set(stored))
    assert set(acknowledged) <= set(stored)
    with running_product(tmp_path) as product:
        assert ask(product, "hello again", token=product.visitor()).status_code == 200


def test_a_thousand_parallel_messages_in_one_session_never_exceed_its_token_budget(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text(
        "budget: {limit_tokens: 20000, full_reservation_tokens: 6500, reduced_reservation_tokens: 3500}\n"
    )

    async def load(product: RunningProduct, token: str) -> list[dict[str, object]]:
        headers = {"authorization": f"Bearer {token}"}
        limits = httpx.Limits(max_connections=64)
        async with httpx.AsyncClient(
            base_url=product.url, headers=headers, timeout=None, limits=limits, trust_env=False
        ) as client:
            body = {"message": "recommend a funny manga", "session_id": "budget"}
            answers = await asyncio.gather(*(client.post("/v1/chat", json=body) for _ in range(1_000)))
        return [answer.json() for answer in answers if answer.status_code == 200]

    with running_product(tmp_path) as product:
        answers = asyncio.run(load(product, product.visitor()))
    assert len(answers) == 1_000
    used = 0
    for answer in answers:
        usage = answer["usage"]
        assert isinstance(usage, dict)
        used += usage["input_tokens"] + usage["output_tokens"]
    assert 0 < used <= 20_000


@pytest.mark.postgres
def test_two_servers_on_one_postgresql_share_sessions(tmp_path: Path, postgres: PostgresForTests) -> None:
    url = postgres.new_database()
    first_dir, second_dir = tmp_path / "one", tmp_path / "two"
    first_dir.mkdir()
    second_dir.mkdir()
    environment = {
        "MANGAASSIST_DATABASE_URL": url,
        "MANGAASSIST_SESSION_SECRET": "s" * 40,
        "MANGAASSIST_CONTENT_KEY": "ab" * 32,
    }
    with (
        running_product(first_dir, environment=environment) as first,
        running_product(second_dir, environment=environment) as second,
    ):
        token = first.visitor()
        asked = ask(first, "how many volumes does Monster have?", token=token).json()
        follow_up = ask(second, "who wrote it?", token=token, session_id=asked["session_id"]).json()
        assert "Naoki Urasawa" in follow_up["text"]
        stranger = ask(second, "who wrote it?", token=second.visitor(), session_id=asked["session_id"])
        assert stranger.status_code == 404
