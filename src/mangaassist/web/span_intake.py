"""POST /v1/traces: spans of the team's other services that belong to our traces, by OTLP/HTTP."""

from __future__ import annotations

import asyncio
import hmac
import zlib

from starlette.requests import Request
from starlette.responses import Response

from mangaassist.domain.errors import PermissionDeniedError
from mangaassist.web.bodies import read_body
from mangaassist.web.problems import refuse
from mangaassist.web.services import services_of
from mangaassist.web.sessions import limit_address

MAX_BODY_BYTES = 2 * 1024 * 1024
MAX_UNPACKED_BYTES = 8 * 1024 * 1024
PROTOBUF = "application/x-protobuf"
JSON = "application/json"


async def receive(request: Request) -> Response:
    """Take an export request in; 404 where no token is configured, 401 without it."""
    services = services_of(request)
    limit_address(request)
    intake = services.span_intake
    if intake is None:
        refuse(404, "Spans are not taken here: MANGAASSIST_OTLP_INGEST_TOKEN is not set.")
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not hmac.compare_digest(token.strip().encode(), intake.token.encode()):
        raise PermissionDeniedError("the Authorization header must be 'Bearer <the intake token>'")
    content_type = request.headers.get("content-type", "").split(";")[0].strip().lower()
    if content_type not in (PROTOBUF, JSON):
        refuse(415, f"Send {PROTOBUF} or {JSON}.")
    body = _unpacked(
        await read_body(request, limit_bytes=MAX_BODY_BYTES),
        request.headers.get("content-encoding", "identity"),
    )
    await asyncio.to_thread(intake.take, body, content_type == JSON)
    # an empty ExportTraceServiceResponse: everything was accepted
    return Response(b"{}" if content_type == JSON else b"", media_type=content_type)


def _unpacked(body: bytes, encoding: str) -> bytes:
    if encoding.lower() == "identity":
        return body
    if encoding.lower() != "gzip":
        refuse(415, "Content-Encoding must be gzip or identity.")
    unpacker = zlib.decompressobj(wbits=31)
    try:
        content = unpacker.decompress(body, MAX_UNPACKED_BYTES)
    except zlib.error:
        refuse(400, "The body is not gzip.")
    if unpacker.unconsumed_tail:
        refuse(413, f"At most {MAX_UNPACKED_BYTES} bytes are accepted, unpacked.")
    if not unpacker.eof:
        refuse(400, "The body is not whole.")
    return content
