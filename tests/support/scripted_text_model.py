"""A text model that does what its script says, call by call."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence

from mangaassist.domain.generation import (
    GenerationEvent,
    GenerationFinished,
    GenerationRequest,
    TextDelta,
    TokenUsage,
)
from tests.support.clock import FakeClock

Step = str | float | Exception | None


class ScriptedTextModel:
    """Plays one script per call, the last one for ever.

    A step is text to say, seconds to let pass on the fake clock, an error to raise, or None to
    fall silent for good. A script that raises nothing ends in `GenerationFinished`.
    """

    def __init__(
        self, *scripts: Sequence[Step], clock: FakeClock | None = None, provider: str = "scripted"
    ) -> None:
        self._scripts = scripts
        self._clock = clock
        self.provider = provider
        self.requests: list[GenerationRequest] = []
        self.open_streams = 0
        self.closed = 0
        self.omits_finish = False
        self.called = asyncio.Event()

    @property
    def calls(self) -> int:
        return len(self.requests)

    async def stream(self, request: GenerationRequest) -> AsyncIterator[GenerationEvent]:
        script = self._scripts[min(self.calls, len(self._scripts) - 1)]
        self.requests.append(request)
        self.called.set()
        self.open_streams += 1
        try:
            for step in script:
                if isinstance(step, str):
                    yield TextDelta(text=step)
                elif isinstance(step, Exception):
                    raise step
                elif step is None:
                    await asyncio.Event().wait()
                else:
                    assert self._clock is not None
                    self._clock.advance(step)
            if not self.omits_finish:
                yield GenerationFinished(
                    stop_reason="end_turn",
                    usage=TokenUsage(input_tokens=1, output_tokens=1),
                    model_id=request.model_id,
                    provider=self.provider,
                )
        finally:
            self.open_streams -= 1

    async def close(self) -> None:
        self.closed += 1
