"""From an HTTP request or a WebSocket to a caller, a valid body and a chat request."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

from pydantic import BaseModel
from starlette.requests import HTTPConnection, Request

from mangaassist.domain.chat import Channel, ChatRequest, Identity, PageContext
from mangaassist.domain.errors import PermissionDeniedError
from mangaassist.web.bodies import parse_json, read_body, require_json, validated
from mangaassist.web.problems import FieldError, refuse, refuse_fields
from mangaassist.web.schemas import ChatBody
from mangaassist.web.services import WebServices, services_of

COOKIE = "mangaassist_session"
TOKEN_HEADER = "x-session-token"
COOKIE_LIFETIME_S = 30 * 24 * 3600

Model = TypeVar("Model", bound=BaseModel)


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """Who asks; `issued_token` is set when a token was made for this request."""

    identity: Identity
    issued_token: str | None = None

    def headers(self, *, secure: bool) -> dict[str, str]:
        """Return the response headers that hand a fresh token to the client."""
        if self.issued_token is None:
            return {}
        return {
            TOKEN_HEADER: self.issued_token,
            "set-cookie": session_cookie(self.issued_token, secure=secure),
        }


def session_cookie(token: str, *, secure: bool, max_age_s: int = COOKIE_LIFETIME_S) -> str:
    """Return the Set-Cookie value that keeps a token out of reach of scripts and of other sites."""
    cookie = f"{COOKIE}={token}; Path=/; Max-Age={max_age_s}; HttpOnly; SameSite=Lax"
    return f"{cookie}; Secure" if secure else cookie


async def received(request: Request, model: type[Model]) -> tuple[Caller, Model]:
    """Return the caller and the valid body of a state-changing request, in the order of what costs least."""
    services = services_of(request)
    limit_address(request)
    require_json(request)
    caller = caller_of(request)
    limit_owner(services, caller)
    body = await read_body(request, limit_bytes=services.limits.max_body_bytes)
    return caller, validated(model, parse_json(body))


def limit_address(connection: HTTPConnection) -> None:
    """Count a request against the client's address."""
    address = connection.client.host if connection.client else "unknown"
    services_of(connection).rate_limiter.take(f"address:{address}")


def limit_owner(services: WebServices, caller: Caller) -> None:
    """Count a request against its caller."""
    services.rate_limiter.take(caller.identity.owner)


def caller_of(connection: HTTPConnection) -> Caller:
    """Return who makes a state-changing request; without any token, a new visitor.

    A cookie counts only when the browser's `Origin` is this host or an allowed one. Raises
    `PermissionDeniedError` for a bearer token that does not verify; an expired cookie makes a new visitor.
    """
    services = services_of(connection)
    if COOKIE in connection.cookies and "authorization" not in connection.headers:
        _check_origin(connection, services.allowed_origins)
    known = known_caller(connection)
    if known is not None:
        return Caller(identity=known)
    token, identity = services.identity.issue_visitor()
    return Caller(identity=identity, issued_token=token)


def known_caller(connection: HTTPConnection) -> Identity | None:
    """Return who the bearer token, or else the cookie, speaks for; None without a usable one."""
    identity = services_of(connection).identity
    authorization = connection.headers.get("authorization")
    if authorization is not None:
        scheme, _, token = authorization.partition(" ")
        if scheme.lower() != "bearer" or not token.strip():
            raise PermissionDeniedError("the Authorization header must be 'Bearer <token>'")
        return identity.verify(token.strip())
    cookie = connection.cookies.get(COOKIE)
    try:
        return identity.verify(cookie) if cookie else None
    except PermissionDeniedError:
        # an expired cookie must not lock its owner out
        return None


def _check_origin(connection: HTTPConnection, allowed_origins: tuple[str, ...]) -> None:
    origin = connection.headers.get("origin")
    if origin is None or origin in allowed_origins:
        return
    if origin.partition("://")[2] != connection.headers.get("host"):
        refuse(403, "The session cookie is accepted from this site's own pages only.")


def chat_request(
    services: WebServices,
    body: ChatBody,
    identity: Identity,
    *,
    traceparent: str,
    channel: Channel,
    baggage: str | None = None,
) -> ChatRequest:
    """Return the domain request; 422 for a message over the limit."""
    limit = services.limits.max_message_chars
    if len(body.message) > limit:
        message = f"has {len(body.message)} characters; at most {limit} are accepted"
        refuse_fields(FieldError(field="message", message=message))
    page = body.page_context
    return ChatRequest(
        request_id=services.ids.sortable("req"),
        session_id=body.session_id or services.ids.sortable("sess"),
        message=body.message,
        identity=identity,
        page_context=PageContext(page_type=page.page_type, locale=page.locale, asin=page.asin)
        if page
        else PageContext(),
        traceparent=traceparent,
        baggage=baggage,
        channel=channel,
    )
