"""Times Presidio and LLM Guard's offline scanners; `guardrails bench` runs it where they are installed."""

from __future__ import annotations

import importlib
import importlib.util
import json
import logging
import sys
import time
import types
from collections.abc import Callable, Sequence
from typing import Any


def figures(texts: Sequence[str], run: Callable[[str], object], *, passes: int = 2) -> dict[str, float]:
    for text in texts[:50]:
        run(text)
    best = [float("inf")] * len(texts)
    for _ in range(passes):
        for index, text in enumerate(texts):
            started = time.process_time_ns()
            run(text)
            best[index] = min(best[index], time.process_time_ns() - started)
    ordered = sorted(best)
    return {
        f"p{share}_us": round(ordered[min(len(ordered) - 1, len(ordered) * share // 100)] / 1e3, 2)
        for share in (50, 95, 99)
    }


def presidio() -> Callable[[str], object]:
    """Presidio without models: a blank language instead of the one it would fetch."""
    import spacy
    from presidio_analyzer import AnalyzerEngine
    from presidio_analyzer.nlp_engine import SpacyNlpEngine

    engine = SpacyNlpEngine()
    engine.nlp = {"en": spacy.blank("en")}
    analyzer = AnalyzerEngine(nlp_engine=engine, supported_languages=["en"])
    return lambda text: analyzer.analyze(text, "en", score_threshold=0.4)


def llm_guard(module: str, name: str, **options: Any) -> Callable[[str], object]:
    """One scanner, loaded without its package, which imports models of gigabytes."""
    spec = importlib.util.find_spec("llm_guard") if "llm_guard" not in sys.modules else None
    if spec is not None and spec.submodule_search_locations:
        base = spec.submodule_search_locations[0]
        for package, path in (("llm_guard", base), ("llm_guard.input_scanners", f"{base}/input_scanners")):
            stand_in = types.ModuleType(package)
            stand_in.__path__ = [path]
            sys.modules[package] = stand_in
    scanner = getattr(importlib.import_module(f"llm_guard.input_scanners.{module}"), name)(**options)
    return scanner.scan


def main() -> None:
    logging.disable(logging.CRITICAL)
    given = json.load(sys.stdin)
    import structlog

    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    long_texts = [given["long_text"]] * 100
    emails = [r"[a-zA-Z0-9._%+-]+@[a-zA-Z0-9.-]+\.[a-zA-Z]{2,}"]
    scanners = {
        "llm_guard_regex": llm_guard("regex", "Regex", patterns=emails, is_blocked=True),
        "llm_guard_ban_substrings": llm_guard(
            "ban_substrings", "BanSubstrings", substrings=["amazon", "ebay"]
        ),
        "llm_guard_invisible_text": llm_guard("invisible_text", "InvisibleText"),
        "llm_guard_secrets": llm_guard("secrets", "Secrets"),
    }
    out = {"presidio_without_models": figures(given["texts"], presidio())}
    out |= {name: figures(long_texts, scan) for name, scan in scanners.items()}
    print(json.dumps(out))


if __name__ == "__main__":
    main()
