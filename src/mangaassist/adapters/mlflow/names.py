"""How MLflow names traces and their attachments."""

from __future__ import annotations

import uuid
from urllib.parse import urlencode


def mlflow_id(trace_id: str) -> str:
    """Return MLflow's form of a W3C trace id."""
    return f"tr-{trace_id}"


def attachment_id(trace_id: str, name: str) -> str:
    """Return the UUID under which a document of a trace is kept; always the same one."""
    return str(uuid.uuid5(uuid.NAMESPACE_URL, f"trace:{trace_id}/{name}"))


def attachment_reference(trace_id: str, name: str, size_bytes: int) -> str:
    """Return what a span's inputs hold so that MLflow's page offers the document."""
    query = urlencode(
        {"content_type": "application/json", "trace_id": mlflow_id(trace_id), "size": str(size_bytes)}
    )
    return f"mlflow-attachment://{attachment_id(trace_id, name)}?{query}"
