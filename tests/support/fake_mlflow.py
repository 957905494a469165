"""An MLflow server in memory that answers the calls of the shipper as 3.17.2 was seen to answer them."""

from __future__ import annotations

import json
from collections import defaultdict
from typing import Any

import httpx
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

REFUSED_TRACE_ID = "0" * 32


class FakeMlflow:
    """Give `transport()` to the client; `fault` is answered to every call while it is set."""

    def __init__(self) -> None:
        self.experiments: dict[str, str] = {}
        self.spans: dict[str, set[str]] = defaultdict(set)
        self.infos: dict[str, dict[str, Any]] = {}
        self.artifacts: dict[str, bytes] = {}
        self.fault: httpx.Response | Exception | None = None
        self.artifact_fault: httpx.Response | None = None
        self.loses_spans = False
        self.knows_batch_get = True
        self.calls = 0

    def transport(self) -> httpx.MockTransport:
        return httpx.MockTransport(self._answer)

    def _answer(self, request: httpx.Request) -> httpx.Response:
        self.calls += 1
        if isinstance(self.fault, Exception):
            raise self.fault
        if self.fault is not None:
            return self.fault
        path = request.url.path
        if path == "/v1/traces":
            return self._export(request)
        if path.startswith("/api/2.0/mlflow/experiments/"):
            return self._experiment(path.rpartition("/")[2], request)
        if path.startswith("/api/2.0/mlflow-artifacts/artifacts/"):
            if self.artifact_fault is not None:
                return self.artifact_fault
            self.artifacts[path.removeprefix("/api/2.0/mlflow-artifacts/artifacts/")] = request.content
            return httpx.Response(200, json={})
        return self._trace(request)

    def _experiment(self, action: str, request: httpx.Request) -> httpx.Response:
        if action == "get-by-name":
            name = request.url.params["experiment_name"]
            if name not in self.experiments:
                return _missing()
            return httpx.Response(
                200,
                json={"experiment": {"experiment_id": self.experiments[name], "lifecycle_stage": "active"}},
            )
        name = json.loads(request.content)["name"]
        self.experiments[name] = str(len(self.experiments) + 1)
        return httpx.Response(200, json={"experiment_id": self.experiments[name]})

    def _export(self, request: httpx.Request) -> httpx.Response:
        message = ExportTraceServiceRequest()
        message.ParseFromString(request.content)
        spans = message.resource_spans[0].scope_spans[0].spans
        if any(span.trace_id.hex() == REFUSED_TRACE_ID for span in spans):
            return httpx.Response(422, json={"detail": "Failed to log OpenTelemetry spans"})
        if not self.loses_spans:
            for span in spans:
                self.spans[f"tr-{span.trace_id.hex()}"].add(span.span_id.hex())
        return httpx.Response(200)

    def _batch(self, trace_ids: list[str]) -> httpx.Response:
        if not self.knows_batch_get:
            return httpx.Response(404, text="<html>no such page</html>")
        known = [
            {"trace_info": {"trace_id": trace_id}, "spans": list(self.spans[trace_id])}
            for trace_id in trace_ids
            if trace_id in self.spans
        ]
        return httpx.Response(200, json={"traces": known})

    def _trace(self, request: httpx.Request) -> httpx.Response:
        parts = request.url.path.removeprefix("/api/3.0/mlflow/traces").strip("/").split("/")
        if parts == [""]:
            info = json.loads(request.content)["trace"]["trace_info"]
            known = self.infos.setdefault(info["trace_id"], {"assessments": []})
            known.update(info)
            return httpx.Response(200, json={"trace": {"trace_info": info}})
        if parts == ["batchGet"]:
            return self._batch(request.url.params.get_list("trace_ids"))
        if parts == ["get"]:
            spans = self.spans.get(request.url.params["trace_id"])
            return (
                _missing() if spans is None else httpx.Response(200, json={"trace": {"spans": list(spans)}})
            )
        known = self.infos.get(parts[0])  # type: ignore[assignment]  # absent means None
        if known is None:
            return _missing()
        if parts[1:] == ["assessments"]:
            known["assessments"].append(json.loads(request.content)["assessment"])
            return httpx.Response(200, json={})
        return httpx.Response(200, json={"trace": {"trace_info": known}})


def _missing() -> httpx.Response:
    return httpx.Response(404, json={"error_code": "RESOURCE_DOES_NOT_EXIST", "message": "not found"})
