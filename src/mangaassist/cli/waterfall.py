"""The waterfall of a trace on a terminal."""

from __future__ import annotations

import json
from collections import defaultdict
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console

    from mangaassist.domain.trace import FinishedSpan, Trace

BAR_CELLS = 32
TAG_ROWS = (
    ("asked", ("intent", "page_type", "user_type", "session_id", "request_id")),
    ("answered", ("route", "outcome", "service_level", "cache_hit")),
    ("versions", ("release_bundle", "prompt_version", "bedrock_model_id", "deployment_stage", "environment")),
)
DETAILS: dict[str, tuple[str, ...]] = {
    "intent_classification": ("intent", "confidence", "stage", "classifier_version"),
    "route_intent": ("handler", "service_level"),
    "cache_lookup": ("cache_hit", "similarity"),
    "retrieve_chunks": ("candidate_count", "top_chunk_ids"),
    "build_prompt": ("prompt_version", "prompt_chars"),
    "bedrock_generate": ("bedrock_model_id", "input_tokens", "output_tokens", "stop_reason"),
    "apply_guardrails": ("guardrail_stage", "verdict", "rule_id"),
}


def trace_document(trace: Trace) -> dict[str, Any]:
    """Return everything a trace holds, its documents parsed."""
    return {
        "trace_id": trace.trace_id,
        "response_id": trace.response_id,
        "session_id": trace.session_id,
        "duration_ms": round(trace.root.duration_ms, 3),
        "sampling_reason": trace.sampling_reason,
        "request_preview": trace.request_preview,
        "response_preview": trace.response_preview,
        "tags": dict(trace.tags),
        "spans": [
            {
                "name": span.name,
                "kind": span.kind,
                "span_id": span.span_id,
                "parent_id": span.parent_id,
                "start_ms": round((span.start_ns - trace.root.start_ns) / 1e6, 3),
                "duration_ms": round(span.duration_ms, 3),
                "status": span.status,
                "error": span.error,
                "attributes": dict(span.attributes),
            }
            for span in trace.spans
        ],
        "artifacts": {name: json.loads(content) for name, content in trace.artifacts.items()},
    }


def show_waterfall(trace: Trace, console: Console) -> None:
    """Print the spans of a trace over its time."""
    from rich.table import Table
    from rich.text import Text

    table = Table("span", "ms", "", "", box=None, padding=(0, 1), pad_edge=False)
    table.columns[1].justify = "right"
    for depth, span in _in_tree_order(trace):
        style = "red" if span.status == "error" else ""
        table.add_row(
            Text("  " * depth + span.name, style=style),
            f"{span.duration_ms:.2f}",
            Text(_bar(span, trace.root), style="red" if span.error else "cyan", no_wrap=True),
            Text(_details(span), style="dim"),
        )
    console.print(table)


def _in_tree_order(trace: Trace) -> list[tuple[int, FinishedSpan]]:
    """Return every span with its depth, children below their parent in order of their start."""
    known = {span.span_id for span in trace.spans}
    children: dict[str | None, list[FinishedSpan]] = defaultdict(list)
    for span in trace.spans:
        children[span.parent_id if span.parent_id in known else None].append(span)
    ordered: list[tuple[int, FinishedSpan]] = []
    waiting = [(0, span) for span in reversed(children[None])]
    while waiting:
        depth, span = waiting.pop()
        ordered.append((depth, span))
        waiting += [(depth + 1, child) for child in reversed(children[span.span_id])]
    return ordered


def _bar(span: FinishedSpan, root: FinishedSpan) -> str:
    """Return the span's place in the request as a bar of fixed width."""
    total = max(1, root.end_ns - root.start_ns)
    start = min(BAR_CELLS - 1, max(0, BAR_CELLS * (span.start_ns - root.start_ns) // total))
    cells = max(1, min(BAR_CELLS - start, round(BAR_CELLS * (span.end_ns - span.start_ns) / total)))
    return " " * start + "█" * cells + " " * (BAR_CELLS - start - cells)


def _details(span: FinishedSpan) -> str:
    names = DETAILS.get(span.name, ("action", "score", "rule_id") if span.kind == "GUARDRAIL" else ())
    shown = [
        f"{name}={_shown(span.attributes[name])}" for name in names if span.attributes.get(name) is not None
    ]
    return "  ".join([*shown, *([f"error={span.error}"] if span.error else [])])


def _shown(value: object) -> str:
    return ",".join(map(str, value)) if isinstance(value, tuple) else str(value)


def snapshot_of(trace: Trace) -> list[dict[str, Any]]:
    """Return the chunks of the snapshot that travels with a trace."""
    snapshot = trace.artifacts.get("chunk_snapshot.json")
    chunks: list[dict[str, Any]] = json.loads(snapshot)["chunks"] if snapshot else []
    return chunks
