"""MLflow as a destination of traces, and of the feedback on them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from mangaassist.adapters.mlflow.client import MlflowClient
from mangaassist.domain.errors import DependencyError, DependencyRejectedError, DependencyUnavailableError
from mangaassist.domain.feedback import FeedbackEvent
from mangaassist.domain.trace import RemoteSpans, Trace


class MlflowDestination:
    """A `TraceDestination`: spans in one OTLP request, then documents and info of every trace."""

    def __init__(self, client: MlflowClient) -> None:
        self._client = client

    def connect(self) -> None:
        """Make sure that the experiment exists."""
        self._client.experiment_id()

    def reconnect(self) -> None:
        """Look the experiment up again."""
        self._client.forget_experiment()

    def send(self, traces: Sequence[Trace], remote: Sequence[RemoteSpans]) -> int:
        """Deliver traces; return how many arrived without their documents."""
        self._client.send_spans(traces, remote)
        bare = 0
        for trace in traces:
            uris = self._put_artifacts(trace)
            bare += len(uris) < len(trace.artifacts)
            self._client.send_info(trace, artifact_uris=uris)
        return bare

    def verify(self, traces: Sequence[Trace]) -> int:
        """Read traces back: an answer of 200 alone may come from something that is not MLflow."""
        stored = self._client.span_counts([trace.trace_id for trace in traces])
        for trace in traces:
            if stored.get(trace.trace_id, len(trace.spans)) < len(trace.spans):
                have, made = stored[trace.trace_id], len(trace.spans)
                raise DependencyUnavailableError(
                    f"MLflow has {have} of the {made} spans of trace {trace.trace_id}"
                )
        return len(stored)

    def _put_artifacts(self, trace: Trace) -> dict[str, str]:
        uris: dict[str, str] = {}
        for name, content in trace.artifacts.items():
            try:
                uri = self._client.put_artifact(trace, name, content)
            except DependencyRejectedError:
                # a server without artifact storage still gets the trace
                continue
            uris[f"{name.rsplit('.', 1)[0]}_uri"] = uri
        return uris


def ship_feedback(client: MlflowClient, events: Iterable[FeedbackEvent]) -> list[str]:
    """Attach feedback to traces; return the ids of the events that are there now.

    An event whose trace has not arrived yet is left for the next pass.
    """
    done: list[str] = []
    for event in events:
        try:
            client.send_feedback(event)
        except DependencyRejectedError:
            continue
        except DependencyError:
            break
        done.append(event.feedback_id)
    return done
