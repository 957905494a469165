"""Where an HTTP/1.1 response body ends: by length, by chunks, or by the end of the connection."""

from __future__ import annotations

import re
from typing import Final, Protocol

from mangaassist.domain.errors import DependencyUnavailableError

_CHUNK_SIZE: Final = re.compile(rb"([0-9a-fA-F]{1,8})[ \t]*(?:;|$)")
_LONGEST_CONTROL_LINE: Final = 8 * 1024


class BodyFraming(Protocol):
    """Finds the body in the bytes of the connection and knows whether all of it has come."""

    done: bool

    def feed(self, data: bytes) -> bytes:
        """Take bytes as they arrived and return those of the body."""
        ...

    def end(self) -> None:
        """Take the end of the connection; raise `DependencyUnavailableError` when it is too early."""
        ...


class LengthFraming:
    """A body of `Content-Length` bytes."""

    __slots__ = ("_left", "done")

    def __init__(self, length: int) -> None:
        self._left = length
        self.done = length == 0

    def feed(self, data: bytes) -> bytes:
        """Take bytes as they arrived and return those of the body."""
        if len(data) > self._left:
            raise DependencyUnavailableError("the server sent more bytes than its Content-Length")
        self._left -= len(data)
        self.done = self._left == 0
        return data

    def end(self) -> None:
        """Refuse an end before the whole length has come."""
        if not self.done:
            raise DependencyUnavailableError(f"the connection was cut {self._left} bytes before the end")


class UntilCloseFraming:
    """A body that ends with the connection; a cut cannot be told from an end."""

    __slots__ = ("done",)

    def __init__(self) -> None:
        self.done = False

    def feed(self, data: bytes) -> bytes:
        """Take bytes as they arrived; all are the body's."""
        return data

    def end(self) -> None:
        """Take the end of the connection as the end of the body."""
        self.done = True


class ChunkedFraming:
    """A body in chunks (RFC 9112 §7.1); extensions and trailers are skipped."""

    __slots__ = ("_in_trailer", "_left", "_rest", "_wants_line_end", "done")

    def __init__(self) -> None:
        self._rest = b""
        self._left = 0
        self._wants_line_end = False
        self._in_trailer = False
        self.done = False

    def feed(self, data: bytes) -> bytes:
        """Take bytes as they arrived and return those of the body."""
        buffer = self._rest + data if self._rest else data
        position = 0
        pieces: list[bytes] = []
        while not self.done:
            if self._left:
                piece = buffer[position : position + self._left]
                if not piece:
                    break
                pieces.append(piece)
                position += len(piece)
                self._left -= len(piece)
                self._wants_line_end = self._left == 0
                continue
            if self._wants_line_end:
                line_end = buffer[position : position + 2]
                if line_end != b"\r\n":
                    if b"\r\n".startswith(line_end):
                        break
                    raise DependencyUnavailableError("the server sent a chunk longer than it said")
                position += 2
                self._wants_line_end = False
            end = buffer.find(b"\r\n", position)
            if end < 0:
                break
            self._take_line(buffer[position:end])
            position = end + 2
        self._rest = buffer[position:]
        if self.done and self._rest:
            raise DependencyUnavailableError("the server sent bytes after the last chunk")
        if len(self._rest) > _LONGEST_CONTROL_LINE:
            raise DependencyUnavailableError("the server sent a chunk line without end")
        return b"".join(pieces)

    def end(self) -> None:
        """Refuse an end before the last chunk."""
        if not self.done:
            raise DependencyUnavailableError("the connection was cut before the last chunk")

    def _take_line(self, line: bytes) -> None:
        if self._in_trailer:
            self.done = not line
        else:
            size = _CHUNK_SIZE.match(line)
            if size is None:
                raise DependencyUnavailableError(f"the server sent no chunk size but {line[:40]!r}")
            self._left = int(size[1], 16)
            self._in_trailer = self._left == 0
