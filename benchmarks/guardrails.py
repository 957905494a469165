"""What guarding costs, beside the sources' regexes and other packages, all in one run.

    uv run --no-sync mangaassist guardrails bench --json
    uv run --no-sync mangaassist guardrails bench --peers     Presidio and LLM Guard, in a throw-away venv

Streams are the store's own articles in pieces of 1 to 6 characters. The naive guard is that of the sources:
every pattern searched in the last 20 pieces. CPU time: other load on the machine slows all of them alike.
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from random import Random

import numpy as np

from mangaassist.adapters.embedded.store_pack import load_store_pack
from mangaassist.bootstrap.guardrail_check import bench_pipeline
from mangaassist.bootstrap.guardrails import load_ruleset, stream_rules
from mangaassist.bootstrap.settings import find_store_dir, load_settings
from mangaassist.serving.guardrails.personal_data.finder import PersonalDataFinder
from mangaassist.serving.guardrails.scanning import ScanRule
from mangaassist.serving.guardrails.streaming import StreamGuard, StreamRules

NAMES = (
    "amazon", "ebay", "barnes & noble", "book depository", "rightstuf", "right stuf", "mangadex",
    "mangakakalot", "manganato", "mangafox", "mangahere", "readmanga", "z-library", "walmart", "kinokuniya",
    "crunchyroll store",
)  # fmt: skip
TWENTY_RULES = (
    ScanRule(id="email", pattern=r"[A-Za-z0-9._%+-]{1,64}@[A-Za-z0-9-]{1,63}(?:\.[A-Za-z0-9-]{1,63}){1,8}"),
    ScanRule(id="phone", pattern=r"\b\d{3}[-. ]?\d{3}[-. ]?\d{4}\b"),
    ScanRule(id="ssn", pattern=r"\b\d{3}-\d{2}-\d{4}\b"),
    ScanRule(id="card", pattern=r"\b\d(?:[ -]?\d){12,18}\b"),
)
# US-7.4 and US-7.2 of the source documents
NAIVE_PII = tuple(
    re.compile(pattern)
    for pattern in (
        r"[a-zA-Z0-9._%+-]+@[a-zA-Z0-9.-]+\.[a-zA-Z]{2,}",
        r"\b\d{3}[-.]?\d{3}[-.]?\d{4}\b",
        r"\b\d{3}-\d{2}-\d{4}\b",
    )
)
NAIVE_STREAM = (
    *(re.compile(rf"\b{re.escape(name)}\b", re.IGNORECASE) for name in NAMES),
    *NAIVE_PII,
    re.compile(r"\b\d(?:[ -]?\d){12,18}\b"),
)
NAIVE_INJECTION = tuple(
    re.compile(pattern, re.IGNORECASE)
    for pattern in (
        r"ignore\s+(all\s+)?previous\s+instructions",
        r"you\s+are\s+now\s+(?:a|an)\s+",
        r"forget\s+(?:everything|all|your)\s+",
        r"system\s*prompt\s*:",
        r"<\s*system\s*>",
        r"IMPORTANT:\s*(?:new|override|ignore)",
        r"(?:base64|rot13|hex)\s*:",
        r"\[INST\]|\[\/INST\]|<<SYS>>|<\|im_start\|>",
    )
)
PEERS = ("presidio-analyzer", "presidio-anonymizer", "bc-detect-secrets", "structlog")
WITHOUT_DEPENDENCIES = ("llm-guard==0.3.16",)


def figures(times_ns: Sequence[float]) -> dict[str, float]:
    p50, p95, p99 = np.percentile(np.asarray(times_ns) / 1e3, (50, 95, 99))
    return {"p50_us": round(float(p50), 2), "p95_us": round(float(p95), 2), "p99_us": round(float(p99), 2)}


def timed(texts: Sequence[str], run: Callable[[str], object], *, passes: int = 3) -> dict[str, float]:
    """CPU time of each text in a warm process, the best of some passes."""
    for text in texts:
        run(text)
    best = [float("inf")] * len(texts)
    for _ in range(passes):
        for index, text in enumerate(texts):
            started = time.process_time_ns()
            run(text)
            best[index] = min(best[index], time.process_time_ns() - started)
    return figures(best)


def cut(text: str, random: Random) -> list[str]:
    pieces, position = [], 0
    while position < len(text):
        size = random.randint(1, 6)
        pieces.append(text[position : position + size])
        position += size
    return pieces


def stream_cost(streams: Sequence[Sequence[str]], rules: StreamRules) -> dict[str, float]:
    held: list[int] = []
    waits: list[int] = []
    for warm_up in (True, False):
        started, pieces = time.process_time_ns(), 0
        for stream in streams:
            guard = StreamGuard(rules)
            for piece in stream:
                guard.feed(piece)
            guard.finish()
            pieces += len(stream)
        spent = time.process_time_ns() - started
        if warm_up:
            held, waits = holding(streams, rules)
    return {
        "us_per_chunk": round(spent / pieces / 1e3, 2),
        "held_chars_p50": float(np.percentile(held, 50)),
        "held_chars_p95": float(np.percentile(held, 95)),
        "held_chars_max": float(max(held)),
        "chunks_before_first_text_p50": float(np.percentile(waits, 50)),
        "chunks_before_first_text_max": float(max(waits)),
        "longest_match_chars": rules.longest,
    }


def holding(streams: Sequence[Sequence[str]], rules: StreamRules) -> tuple[list[int], list[int]]:
    """Characters held after each piece, and after how many pieces the first text was shown."""
    held: list[int] = []
    waits: list[int] = []
    for stream in streams:
        guard, shown_at = StreamGuard(rules), 0
        for number, piece in enumerate(stream):
            if guard.feed(piece) and not shown_at:
                shown_at = number + 1
            held.append(guard.held_chars)
        waits.append(shown_at or len(stream))
    return held, waits


def naive_stream_cost(streams: Sequence[Sequence[str]]) -> dict[str, float]:
    started, pieces = time.process_time_ns(), 0
    for stream in streams:
        for end in range(1, len(stream) + 1):
            window = "".join(stream[max(0, end - 20) : end])
            for pattern in NAIVE_STREAM:
                pattern.search(window)
        pieces += len(stream)
    return {"us_per_chunk": round((time.process_time_ns() - started) / pieces / 1e3, 2)}


def messages(random: Random, sentences: Sequence[str]) -> list[str]:
    """Texts of a chat: one in three holds something personal."""
    planted = (
        "write to mia.k@example.org", "call 541-754-3010", "my card is 4111 1111 1111 1111",
        "SSN 123-45-6789",
        "I live at 42 Old Mill Road, Springfield, IL 62704", "my name is Dana Whitfield",
        "where is order 114-5550101-2000001?",
    )  # fmt: skip
    texts = []
    for number in range(600):
        text = " ".join(random.choice(sentences) for _ in range(random.randint(1, 2)))[:240]
        texts.append(f"{text} {random.choice(planted)}" if number % 3 == 0 else text)
    return texts


def measure_peers(texts: Sequence[str], long_text: str, python: Path) -> dict[str, object]:
    script = Path(__file__).with_name("guardrail_peers.py")
    given = json.dumps({"texts": texts, "long_text": long_text})
    done = subprocess.run([python, script], input=given, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise SystemExit(f"the peers could not be measured: {done.stderr.strip().splitlines()[-1:]}")
    found: dict[str, object] = json.loads(done.stdout.splitlines()[-1])
    return found


def install_peers(folder: Path) -> Path:
    print("installing the peers in a throw-away environment ...", file=sys.stderr)
    subprocess.run([sys.executable, "-m", "venv", folder, "--without-pip"], check=True)
    python = folder / "bin" / "python"
    uv = shutil.which("uv")
    if uv is None:
        raise SystemExit("--peers needs `uv` to install them; or name an interpreter with --peers-python")
    for extra, packages in (((), PEERS), (("--no-deps",), WITHOUT_DEPENDENCIES)):
        subprocess.run([uv, "pip", "install", "-q", "--python", python, *extra, *packages], check=True)
    return python


def main() -> None:
    parser = argparse.ArgumentParser(prog="mangaassist guardrails bench", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--characters", type=int, default=500, help="length of the text of the pipelines")
    parser.add_argument("--repeats", type=int, default=300, help="runs of each pipeline")
    parser.add_argument("--peers", action="store_true", help="measure Presidio and LLM Guard too")
    parser.add_argument("--peers-python", type=Path, help="an interpreter that has them already")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    settings, random = load_settings(), Random(5)
    store_dir = find_store_dir(settings)
    articles = [article.body for article in load_store_pack(store_dir).articles.records]
    sentences = [part for body in articles for part in re.split(r"(?<=[.!?])\s+", body) if len(part) > 20]
    streams = [cut(body, random) for body in articles]
    texts = messages(random, sentences)
    sentence = "Monster, volume 1, is in stock in paperback; it ships within two days. "
    long_text = (sentence * (options.characters // len(sentence) + 1))[: options.characters]
    finder = PersonalDataFinder()
    document: dict[str, object] = {
        "streaming": {
            "chunks": sum(map(len, streams)),
            "twenty_rules": stream_cost(streams, StreamRules(NAMES, TWENTY_RULES)),
            "shipped_ruleset": stream_cost(
                streams, stream_rules(load_ruleset(store_dir / "guardrails" / "ruleset.yaml"))
            ),
            "naive_window_of_20_pieces": naive_stream_cost(streams),
        },
        "pii": {
            "texts": len(texts),
            "ours": timed(texts, finder.find),
            "naive_regexes": timed(texts, lambda text: [p.findall(text) for p in NAIVE_PII]),
        },
        "injection": {
            "naive_regexes": timed([long_text] * 200, lambda text: [p.search(text) for p in NAIVE_INJECTION])
        },
        "pipeline": {
            "characters": options.characters,
            **bench_pipeline(settings, text=long_text, repeats=options.repeats),
        },
        "peers": "not measured; add --peers to install Presidio and LLM Guard in a throw-away environment",
    }
    if options.peers_python:
        document["peers"] = measure_peers(texts, long_text, options.peers_python)
    elif options.peers:
        with tempfile.TemporaryDirectory() as folder:
            document["peers"] = measure_peers(texts, long_text, install_peers(Path(folder) / "venv"))
    print(json.dumps(document, indent=None if options.json else 2))


if __name__ == "__main__":
    main()
