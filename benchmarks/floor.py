"""The floor: the same steps written as plainly as possible, with no errors handled, as one raw ASGI file.

context (SQLite) - guard - embed - intent - hybrid retrieval over 50,000 chunks - rerank 20 - Jinja2 -
200-token stream with a guard per chunk - guard - persist - 14 spans stored. Environment: DATA (folder),
ENCODER (onnx file), TOKENIZER (json file), MODEL_PORT. It is the yardstick of `bench serve`, no product.
"""

from __future__ import annotations

import asyncio
import contextvars
import os
import queue
import random
import secrets
import sqlite3
import threading
import time
from pathlib import Path
from typing import Any

import jinja2
import numpy as np
import onnxruntime
import orjson
import re2
import tantivy
from tokenizers import Tokenizer
from usearch.index import Index

from mangaassist.adapters.embedded.encoder.onnx_embedder import session_options

DATA = Path(os.environ["DATA"])
DATA.mkdir(parents=True, exist_ok=True)
MODEL_PORT = int(os.environ["MODEL_PORT"])
CHUNKS = 50_000
DIMENSION = 384
RANDOM = random.Random(0)
NUMBERS = np.random.default_rng(0)

TOKENIZER = Tokenizer.from_file(os.environ["TOKENIZER"])
TOKENIZER.no_padding()
SESSION = onnxruntime.InferenceSession(os.environ["ENCODER"], session_options())
HEAD = NUMBERS.normal(size=(12, DIMENSION)).astype("f4")
RERANK = NUMBERS.normal(size=(1_000, DIMENSION)).astype("f4")

WORDS = [
    "recommend",
    "manga",
    "volume",
    "berserk",
    "stock",
    "ship",
    "return",
    "order",
    "dark",
    "fantasy",
    "price",
]
WORDS += ["".join(RANDOM.choice("abcdefghiklmnoprst") for _ in range(6)) for _ in range(20_000)]
RANKS = np.minimum(NUMBERS.zipf(1.3, size=(CHUNKS, 80)), len(WORDS)) - 1
TEXTS = [" ".join(WORDS[index] for index in row) for row in RANKS]

_schema = tantivy.SchemaBuilder()
_schema.add_text_field("text")
_schema.add_integer_field("id", stored=True, fast=True)
LEXICAL = tantivy.Index(_schema.build())
_writer = LEXICAL.writer(60_000_000, 1)
for _id, _text in enumerate(TEXTS):
    _writer.add_document(tantivy.Document(text=_text, id=_id))
_writer.commit()
_writer.wait_merging_threads()
LEXICAL.reload()
SEARCHER = LEXICAL.searcher()

VECTORS = Index(ndim=DIMENSION, metric="cos", dtype="f16")
_saved = DATA / "vectors.usearch"
if _saved.exists():
    VECTORS.load(str(_saved))
else:
    VECTORS.add(np.arange(CHUNKS), NUMBERS.normal(size=(CHUNKS, DIMENSION)).astype("f4"))
    VECTORS.save(str(_saved))

PERSONAL = [r"[\w.+-]+@[\w-]+\.[\w.]+", r"(?:\d[ -]?){13,16}", r"\d{3}-\d{2}-\d{4}", r"ORD-\d{6,}"]
INJECTION = [
    r"ignore (all |any )?(the )?(previous|prior|above)",
    r"system prompt",
    r"developer mode",
    r"jailbreak",
]
INJECTION += [
    f"{verb} {what} (mode|rules)" for verb in ("bypass", "override", "skip") for what in ("all", "your")
]


def _rule_set(patterns: list[str]) -> Any:
    rules = re2.Set.SearchSet()
    for pattern in patterns:
        rules.Add("(?i)" + pattern)
    rules.Compile()
    return rules


GUARD_IN, GUARD_OUT = (
    _rule_set(PERSONAL + INJECTION),
    _rule_set([*PERSONAL, r"amazon|competitor", r"\bidiot\b"]),
)
TEMPLATE = jinja2.Environment(auto_reload=False).from_string(
    "You are MangaAssist.\n{% for c in chunks %}<doc id={{c}}>{{texts[c]}}</doc>\n{% endfor %}"
    "{% for role, text in history %}{{role}}: {{text}}\n{% endfor %}User: {{question}}"
)
ACTIVE: contextvars.ContextVar[Any] = contextvars.ContextVar("active", default=None)
FINISHED: contextvars.ContextVar[list[Any]] = contextvars.ContextVar("finished")


class span:  # noqa: N801
    __slots__ = ("attributes", "end", "id", "name", "parent", "start", "token")

    def __init__(self, name: str, **attributes: object) -> None:
        self.name, self.attributes = name, attributes

    def __enter__(self) -> Any:
        parent = ACTIVE.get()
        self.id, self.parent = secrets.token_hex(8), parent.id if parent else None
        self.token, self.start = ACTIVE.set(self), time.time_ns()
        return self

    def __exit__(self, *_: object) -> None:
        self.end = time.time_ns()
        ACTIVE.reset(self.token)
        FINISHED.get().append(self)


def _connect() -> sqlite3.Connection:
    connection = sqlite3.connect(DATA / "floor.db", isolation_level=None, timeout=10, check_same_thread=False)
    connection.execute("pragma journal_mode=wal")
    connection.execute("pragma synchronous=full")
    return connection


_setup = _connect()
_setup.execute(
    "create table if not exists turn(id integer primary key, sid text, role text, text text, at real)"
)
_setup.execute("create index if not exists by_session on turn(sid, id)")
_setup.execute("create table if not exists trace(id text primary key, at real, intent int, doc blob)")
READER = _connect()
WRITES: queue.SimpleQueue[Any] = queue.SimpleQueue()


def _write_groups() -> None:
    connection = _connect()
    while True:
        batch = [WRITES.get()]
        while len(batch) < 512:
            try:
                batch.append(WRITES.get_nowait())
            except queue.Empty:
                break
        connection.execute("begin immediate")
        for sid, question, answer, trace_id, intent, spans, _, _ in batch:
            now = time.time()
            rows = (sid, "user", question, now, sid, "assistant", answer, now)
            connection.execute("insert into turn(sid,role,text,at) values(?,?,?,?),(?,?,?,?)", rows)
            document = [[s.name, s.id, s.parent, s.start, s.end, s.attributes] for s in spans]
            connection.execute(
                "insert into trace values(?,?,?,?)", (trace_id, now, intent, orjson.dumps(document))
            )
        connection.execute("commit")
        futures = [item[6] for item in batch]
        batch[0][7].call_soon_threadsafe(lambda done=futures: [f.done() or f.set_result(None) for f in done])


threading.Thread(target=_write_groups, daemon=True).start()
POOL: list[Any] = []


async def generate(prompt: str) -> Any:
    reader, writer = (
        POOL.pop() if POOL else await asyncio.open_connection("127.0.0.1", MODEL_PORT, limit=2**20)
    )
    body = orjson.dumps({"model": "fake", "stream": True, "messages": [{"role": "user", "content": prompt}]})
    head = b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n"
    writer.write(head + b"content-length: %d\r\n\r\n" % len(body) + body)
    answer_head = await reader.readuntil(b"\r\n\r\n")
    left = int(answer_head.lower().split(b"content-length:")[1].split(b"\r\n")[0])
    rest = b""
    while left:
        data = await reader.read(min(left, 65_536))
        left -= len(data)
        *events, rest = (rest + data).split(b"\n\n")
        text = "".join(
            orjson.loads(event[6:])["choices"][0]["delta"].get("content") or ""
            for event in events
            if event[6:] != b"[DONE]"
        )
        if text:
            yield text
    POOL.append((reader, writer))


def _embed(text: str) -> Any:
    ids = np.array([TOKENIZER.encode(text).ids], dtype=np.int64)
    encoding = SESSION.run(None, {"input_ids": ids, "attention_mask": np.ones_like(ids)})[0][0]
    return encoding[: HEAD.shape[1]]


async def app(scope: Any, receive: Any, send: Any) -> None:
    if scope["type"] != "http":
        return
    body = b""
    while True:
        message = await receive()
        body += message.get("body", b"")
        if not message.get("more_body"):
            break
    question = orjson.loads(body)["message"]
    sid, trace_id, spans = f"s{RANDOM.randrange(5_000)}", secrets.token_hex(16), []
    FINISHED.set(spans)
    with span("handle_message"):
        with span("load_context"):
            history = READER.execute(
                "select role,text from turn where sid=? order by id desc limit 6", (sid,)
            ).fetchall()
        with span("validate_input") as step:
            step.attributes = {"rules": len(GUARD_IN.Match(question) or ())}
        with span("embed_query"):
            vector = _embed(question)
        with span("classify_intent"):
            intent = int((HEAD @ vector).argmax())
        with span("route"):
            pass
        with span("retrieve"):
            words = "".join(character if character.isalnum() else " " for character in question)
            hits = SEARCHER.search(LEXICAL.parse_query(words, ["text"]), 50).hits
            near = VECTORS.search(vector, 50).keys
            fused: dict[int, float] = {}
            for rank, (_, address) in enumerate(hits):
                fused[address.doc] = fused.get(address.doc, 0) + 1 / (60 + rank)
            for rank, key in enumerate(near):
                fused[int(key)] = fused.get(int(key), 0) + 1 / (60 + rank)
            top = sorted(fused, key=fused.__getitem__, reverse=True)[:20]
        with span("rerank"):
            scores = np.stack([RERANK[key % 1_000] for key in top]) @ vector
            chunks = [top[index] for index in np.argsort(-scores)[:5]]
        with span("build_prompt"):
            prompt = TEMPLATE.render(chunks=chunks, texts=TEXTS, history=history, question=question)
        headers = [(b"content-type", b"text/event-stream"), (b"x-trace-id", trace_id.encode())]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        pieces, window = [], ""
        with span("invoke_llm"):
            async for text in generate(prompt):
                window = (window + text)[-200:]
                GUARD_OUT.Match(window)
                pieces.append(text)
                event = b'data: {"delta":' + orjson.dumps(text) + b"}\n\n"
                await send({"type": "http.response.body", "body": event, "more_body": True})
        answer = "".join(pieces)
        with span("stream_guard"):
            pass
        with span("apply_guardrails"):
            GUARD_OUT.Match(answer)
        with span("persist"):
            loop = asyncio.get_running_loop()
            durable = loop.create_future()
            WRITES.put((sid, question, answer, trace_id, intent, list(spans), durable, loop))
            await durable
    done = b'data: {"done":true,"trace_id":"' + trace_id.encode() + b'"}\n\n'
    await send({"type": "http.response.body", "body": done})
