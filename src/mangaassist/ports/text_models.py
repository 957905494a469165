"""Text generation, streamed."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Protocol

from mangaassist.domain.generation import GenerationEvent, GenerationRequest


class TextModel(Protocol):
    """Generates one answer as a stream.

    Every implementation promises: text arrives as `TextDelta`s in order; a successful stream ends
    with exactly one `GenerationFinished`; failures are raised as `DependencyThrottledError`,
    `DependencyTimeoutError`, `DependencyUnavailableError` (also for a connection cut inside the
    stream) or `DependencyRejectedError`, never as a driver's own error; closing the iterator early
    (`aclose`) releases the connection. Retries and fall-back are not its business
    (see `serving.generation`).
    """

    @property
    def provider(self) -> str:
        """Short name of the provider, as written on the `bedrock_generate` span."""
        ...

    def stream(self, request: GenerationRequest) -> AsyncIterator[GenerationEvent]:
        """Start generating; the first event may take as long as the provider does."""
        ...

    async def close(self) -> None:
        """Release connections; idempotent."""
        ...
