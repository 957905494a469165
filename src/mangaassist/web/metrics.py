"""Prometheus metrics of the request path; label values come from closed sets."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from mangaassist.domain.chat import ChatAnswer
from mangaassist.ports.traces import TraceCounters

LATENCY_BUCKETS_MS = (2, 5, 10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000, 20_000)


class ServingMetrics:
    """Counts and times answers; every figure of one process."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._answers = Counter(
            "mangaassist_answers", "Answers given.", ["intent", "route", "outcome"], registry=self.registry
        )
        self._latency = Histogram(
            "mangaassist_response_latency_ms",
            "Time from the accepted request to the durable answer.",
            ["route"],
            buckets=LATENCY_BUCKETS_MS,
            registry=self.registry,
        )
        self._overhead = Histogram(
            "mangaassist_overhead_ms",
            "Response latency without the time spent in the model.",
            ["route"],
            buckets=LATENCY_BUCKETS_MS,
            registry=self.registry,
        )
        self._tokens = Counter(
            "mangaassist_tokens", "Tokens by direction.", ["model_id", "direction"], registry=self.registry
        )
        self._cache = Counter(
            "mangaassist_semantic_cache_hits",
            "Answers served from the semantic cache.",
            registry=self.registry,
        )
        self._bypassed = Counter(
            "mangaassist_llm_bypassed", "Answers made without calling a model.", registry=self.registry
        )
        self._feedback = Counter(
            "mangaassist_feedback", "Feedback events stored.", ["feedback"], registry=self.registry
        )
        self._problems = Counter(
            "mangaassist_problems", "Requests answered with a problem.", ["status"], registry=self.registry
        )

    def answered(self, answer: ChatAnswer) -> None:
        """Count one answer."""
        outcome = "degraded" if answer.degraded else "answered"
        self._answers.labels(answer.intent.value, answer.route, outcome).inc()
        self._latency.labels(answer.route).observe(answer.latency_ms)
        self._overhead.labels(answer.route).observe(answer.overhead_ms)
        if answer.cache_hit:
            self._cache.inc()
        if answer.cache_hit or answer.route in ("template", "api_template"):
            self._bypassed.inc()
        else:
            self._tokens.labels(answer.model_id, "input").inc(answer.usage.input_tokens)
            self._tokens.labels(answer.model_id, "output").inc(answer.usage.output_tokens)

    def feedback_stored(self, value: str) -> None:
        """Count one new feedback event."""
        self._feedback.labels(value).inc()

    def problem(self, status: int) -> None:
        """Count one problem response."""
        self._problems.labels(str(status)).inc()

    def watch_traces(self, counters: Callable[[], TraceCounters]) -> None:
        """Expose the trace counters, read when scraped."""
        self.registry.register(_TraceCollector(counters))

    def exposition(self) -> bytes:
        """Return the text exposition format."""
        return generate_latest(self.registry)


class _TraceCollector(Collector):
    """Reads the trace sink's counters at scrape time."""

    def __init__(self, counters: Callable[[], TraceCounters]) -> None:
        self._counters = counters

    def collect(self) -> Iterator[Metric]:
        """Yield accepted, shipped, held, dropped (by reason) and pending traces, and how long one waits."""
        now = self._counters()
        traces = CounterMetricFamily("mangaassist_traces", "Traces by what became of them.", labels=["state"])
        traces.add_metric(["accepted"], now.accepted)
        traces.add_metric(["shipped"], now.shipped)
        traces.add_metric(["held"], now.held)
        traces.add_metric(["dropped"], now.dropped)
        yield traces
        dropped = CounterMetricFamily(
            "mangaassist_traces_dropped", "Traces dropped, by reason.", labels=["reason"]
        )
        for reason, count in sorted(now.dropped_by_reason.items()):
            dropped.add_metric([reason], count)
        yield dropped
        yield CounterMetricFamily(
            "mangaassist_traces_sync_failures",
            "Files that the disk did not confirm.",
            value=now.sync_failures,
        )
        yield GaugeMetricFamily(
            "mangaassist_traces_oldest_pending_seconds",
            "How long the oldest trace has been waiting to be shipped.",
            value=now.oldest_pending_s,
        )
        yield GaugeMetricFamily(
            "mangaassist_traces_pending", "Traces waiting to be shipped.", value=now.pending
        )
