"""Small checks of the network that need no HTTP library."""

from __future__ import annotations

import asyncio
import contextlib
import socket

from mangaassist.domain.errors import ConfigurationError


def port_is_free(host: str, port: int) -> bool:
    """Whether a server could listen there now."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True


def require_free_port(host: str, port: int, *, option: str) -> None:
    """Raise `ConfigurationError` when something listens there already."""
    if not port_is_free(host, port):
        raise ConfigurationError(f"port {port} is in use on {host}; use {option}")


def next_free_port(host: str, port: int, *, tries: int = 20) -> int | None:
    """Return the first free port from `port` on, or None."""
    return next((number for number in range(port, port + tries) if port_is_free(host, number)), None)


async def answers(host: str, port: int, path: str, *, timeout_s: float = 2.0) -> bool:
    """Whether `GET path` is answered with 200."""
    try:
        async with asyncio.timeout(timeout_s):
            reader, writer = await asyncio.open_connection(host, port)
            try:
                request = f"GET {path} HTTP/1.1\r\nHost: {host}:{port}\r\nConnection: close\r\n\r\n"
                writer.write(request.encode())
                status_line = await reader.readline()
            finally:
                writer.close()
                with contextlib.suppress(OSError):
                    await writer.wait_closed()
    except (OSError, TimeoutError):
        return False
    return status_line.split(b" ")[1:2] == [b"200"]
