"""Reads an OpenAI-compatible event stream, one socket read at a time."""

from __future__ import annotations

from typing import Any, Final

import orjson

from mangaassist.domain.errors import DependencyUnavailableError

_SHORTEST_CHUNK: Final = 16  # bytes; only lines below can be empty or [DONE]
_LONGEST_LINE: Final = 4 * 1024 * 1024


class ChatStreamParser:
    """Turns the bytes of a chat completion stream into text, whatever the cuts between reads.

    Only `data:` lines are looked at; each carries one JSON object, as every server of this API
    sends it. Lines end in LF or CRLF.
    """

    __slots__ = ("_rest", "characters", "done", "error", "finish_reason", "usage")

    def __init__(self) -> None:
        self._rest = b""
        self.characters = 0
        self.done = False
        self.finish_reason: str | None = None
        self.usage: Any = None
        self.error: Any = None

    @property
    def is_complete(self) -> bool:
        """Whether the server said that the text is over."""
        return self.done or self.finish_reason is not None

    def feed(self, data: bytes) -> str:
        """Take the bytes of one read and return all the text that they complete."""
        lines = (self._rest + data if self._rest else data).split(b"\n")
        self._rest = lines.pop()
        if len(self._rest) > _LONGEST_LINE:
            raise DependencyUnavailableError(f"the event stream has a line over {_LONGEST_LINE} bytes")
        return self._text_of(lines)

    def end(self) -> str:
        """Take the end of the body and return the text of a last line that has no line end."""
        last, self._rest = self._rest, b""
        return self._text_of([last]) if last and not self.is_complete else ""

    def _text_of(self, lines: list[bytes]) -> str:
        pieces: list[str] = []
        for line in lines:
            if line[:5] != b"data:" or self.done:
                continue
            payload = line[5:]
            if len(payload) < _SHORTEST_CHUNK:
                payload = payload.strip()
                if payload == b"[DONE]":
                    self.done = True
                if payload in (b"", b"[DONE]"):
                    continue
            try:
                chunk = orjson.loads(payload)
                choices = chunk.get("choices")
                if choices:
                    choice = choices[0]
                    content = (choice.get("delta") or {}).get("content")
                    if content:
                        pieces.append("" + content)
                    if choice.get("finish_reason"):
                        self.finish_reason = choice["finish_reason"]
                if chunk.get("usage"):
                    self.usage = chunk["usage"]
                if chunk.get("error"):
                    self.error = chunk["error"]
            except (ValueError, AttributeError, LookupError, TypeError) as error:
                raise DependencyUnavailableError(
                    f"the event stream has a `data:` line that is no chat chunk: {payload[:80]!r}"
                ) from error
        text = "".join(pieces)
        self.characters += len(text)
        return text
