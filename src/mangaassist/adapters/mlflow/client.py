"""The few MLflow REST calls that shipping needs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

import httpx
import orjson

from mangaassist.adapters.mlflow.names import attachment_id, mlflow_id
from mangaassist.adapters.mlflow.otlp import export_request
from mangaassist.domain.errors import (
    DependencyError,
    DependencyRejectedError,
    DependencyThrottledError,
    DependencyTimeoutError,
    DependencyUnavailableError,
)
from mangaassist.domain.feedback import FeedbackEvent
from mangaassist.domain.trace import RemoteSpans, Trace

_ARTIFACT_SCHEME: Final = "mlflow-artifacts:/"


class MlflowClient:
    """Synchronous client of one tracking server; every failure is a `DependencyError`.

    `DependencyRejectedError` means that the server refused this content; whatever may pass later (it is
    down, it wants a log-in, another server answers at its address) is an availability error.
    """

    def __init__(
        self,
        url: str,
        *,
        experiment: str,
        timeout_s: float = 10.0,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        self._experiment = experiment
        self._experiment_id: str | None = None
        self.known_experiment_id: str | None = None
        self._http = httpx.Client(base_url=url, timeout=timeout_s, trust_env=False, transport=transport)

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def experiment_id(self) -> str:
        """Return the id of the experiment, created when it does not exist; resolved once."""
        if self._experiment_id is None:
            self._experiment_id = self._find_experiment() or self._create_experiment()
            self.known_experiment_id = self._experiment_id
        return self._experiment_id

    def forget_experiment(self) -> None:
        """Resolve the experiment again at the next use: it may have been deleted, or the server replaced."""
        self._experiment_id = None

    def send_spans(self, traces: Sequence[Trace], remote: Sequence[RemoteSpans] = ()) -> None:
        """Export the spans of a batch, all or none; sending them again changes nothing."""
        try:
            content = export_request(traces, remote)
        except ValueError as error:
            raise DependencyRejectedError(f"not a trace that OTLP can carry: {error}") from error
        self._call(
            "POST",
            "/v1/traces",
            content=content,
            headers={
                "content-type": "application/x-protobuf",
                "x-mlflow-experiment-id": self.experiment_id(),
            },
        )

    def send_info(self, trace: Trace, *, artifact_uris: Mapping[str, str]) -> None:
        """Store tags, previews, session and duration of a trace; sending it again changes nothing."""
        failed = trace.root.status == "error"
        info = {
            "trace_id": mlflow_id(trace.trace_id),
            "client_request_id": trace.response_id[:50],
            "trace_location": {
                "type": "MLFLOW_EXPERIMENT",
                "mlflow_experiment": {"experiment_id": self.experiment_id()},
            },
            "request_preview": trace.request_preview,
            "response_preview": trace.response_preview,
            "request_time": _timestamp(datetime.fromtimestamp(trace.root.start_ns / 1e9, UTC)),
            "execution_duration": f"{trace.root.duration_ms / 1e3:.3f}s",
            "state": "ERROR" if failed else "OK",
            "trace_metadata": {
                "mlflow.trace.session": trace.session_id,
                "sampling_reason": trace.sampling_reason,
                "sampling_weight": f"{trace.sampling_weight:g}",
            },
            "tags": {**trace.tags, **artifact_uris, "mlflow.traceName": trace.root.name},
        }
        self._call("POST", "/api/3.0/mlflow/traces", json={"trace": {"trace_info": info}})

    def put_artifact(self, trace: Trace, name: str, content: str) -> str:
        """Store a document among the attachments of a trace and return its URI; again changes nothing.

        MLflow names attachments by UUID, keeps them in the trace's own artifact folder (deleted with it)
        and serves them at `get-trace-artifact`. Raises `DependencyRejectedError` when the server does
        not take artifacts in.
        """
        folder = f"{self.experiment_id()}/traces/{mlflow_id(trace.trace_id)}/artifacts/attachments"
        path = f"{folder}/{attachment_id(trace.trace_id, name)}"
        self._call("PUT", f"/api/2.0/mlflow-artifacts/artifacts/{path}", content=content.encode())
        return _ARTIFACT_SCHEME + path

    def send_feedback(self, event: FeedbackEvent) -> None:
        """Attach feedback to its trace, once; raises `DependencyRejectedError` while that is unknown."""
        assessment_id = f"a-{event.feedback_id}"[:50]
        known = self.trace_info(event.trace_id).get("assessments", [])
        if any(assessment.get("assessment_id") == assessment_id for assessment in known):
            return
        moment = _timestamp(event.timestamp)
        assessment: dict[str, Any] = {
            "assessment_id": assessment_id,
            "assessment_name": "user_feedback",
            "trace_id": mlflow_id(event.trace_id),
            "source": {"source_type": "HUMAN", "source_id": "shopper"},
            "create_time": moment,
            "last_update_time": moment,
            "feedback": {"value": event.feedback},
            "metadata": {"feedback_id": event.feedback_id, "response_id": event.response_id},
            "valid": True,
        }
        if event.reason_code is not None:
            assessment["rationale"] = event.reason_code
        self._call(
            "POST",
            f"/api/3.0/mlflow/traces/{mlflow_id(event.trace_id)}/assessments",
            json={"assessment": assessment},
        )

    def span_count(self, trace_id: str) -> int:
        """Return how many spans are stored; raises `DependencyRejectedError` for an unknown trace."""
        answer = self._call("GET", "/api/3.0/mlflow/traces/get", params={"trace_id": mlflow_id(trace_id)})
        return len(orjson.loads(answer.content)["trace"].get("spans", []))

    def span_counts(self, trace_ids: Sequence[str]) -> dict[str, int]:
        """Return how many spans are stored of every trace, read in one call.

        A server that does not know that call tells of the last trace only.
        """
        try:
            answer = self._call(
                "GET",
                "/api/3.0/mlflow/traces/batchGet",
                params={"trace_ids": [mlflow_id(trace_id) for trace_id in trace_ids]},
            )
        except (DependencyRejectedError, DependencyUnavailableError):
            return {trace_ids[-1]: self._span_count_or_none(trace_ids[-1])}
        counts = dict.fromkeys(trace_ids, 0)
        for trace in orjson.loads(answer.content).get("traces", []):
            counts[trace["trace_info"]["trace_id"].removeprefix("tr-")] = len(trace.get("spans", []))
        return counts

    def _span_count_or_none(self, trace_id: str) -> int:
        try:
            return self.span_count(trace_id)
        except DependencyRejectedError:
            return 0

    def trace_info(self, trace_id: str) -> dict[str, Any]:
        """Return the stored trace info; raises `DependencyRejectedError` for an unknown trace."""
        answer = self._call("GET", f"/api/3.0/mlflow/traces/{mlflow_id(trace_id)}")
        info: dict[str, Any] = orjson.loads(answer.content)["trace"]["trace_info"]
        return info

    def _find_experiment(self) -> str | None:
        try:
            answer = self._call(
                "GET", "/api/2.0/mlflow/experiments/get-by-name", params={"experiment_name": self._experiment}
            )
        except DependencyRejectedError:
            return None
        experiment = orjson.loads(answer.content)["experiment"]
        experiment_id = str(experiment["experiment_id"])
        if experiment.get("lifecycle_stage") == "deleted":
            self._call("POST", "/api/2.0/mlflow/experiments/restore", json={"experiment_id": experiment_id})
        return experiment_id

    def _create_experiment(self) -> str:
        answer = self._call("POST", "/api/2.0/mlflow/experiments/create", json={"name": self._experiment})
        return str(orjson.loads(answer.content)["experiment_id"])

    def _call(self, method: str, path: str, **arguments: Any) -> httpx.Response:
        try:
            answer = self._http.request(method, path, **arguments)
        except httpx.TimeoutException as error:
            raise DependencyTimeoutError(f"MLflow did not answer {method} {path} in time") from error
        except httpx.HTTPError as error:
            raise DependencyUnavailableError(f"MLflow cannot be reached: {error}") from error
        if answer.status_code < 400:
            return answer
        raise _refusal(answer, f"{method} {path}")


def _timestamp(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _refusal(answer: httpx.Response, call: str) -> DependencyError:
    status = answer.status_code
    detail = f"MLflow answered {call} with {status}: {answer.text[:200]}"
    if status == 429:
        return DependencyThrottledError(detail)
    if status in (400, 409, 413, 422) or (status == 404 and "error_code" in answer.text):
        return DependencyRejectedError(detail)
    if status == 503 and "--no-serve-artifacts" in answer.text:
        return DependencyRejectedError(detail)
    return DependencyUnavailableError(detail)
