"""From an HTTP request or a WebSocket to an identity and a chat request."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from starlette.datastructures import Headers

from mangaassist.domain.chat import ChatRequest, Identity, PageContext
from mangaassist.domain.errors import PermissionDeniedError
from mangaassist.web.problems import Problem, ProblemError
from mangaassist.web.schemas import ChatBody
from mangaassist.web.services import WebServices

COOKIE = "mangaassist_session"
TOKEN_HEADER = "x-session-token"


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """Who asks; `issued_token` is set when a visitor token was made for this request."""

    identity: Identity
    issued_token: str | None = None

    def headers(self, *, secure: bool) -> dict[str, str]:
        """Return the response headers that hand a fresh token to the client."""
        if self.issued_token is None:
            return {}
        cookie = f"{COOKIE}={self.issued_token}; Path=/; Max-Age=2592000; HttpOnly; SameSite=Lax"
        return {TOKEN_HEADER: self.issued_token, "set-cookie": cookie + ("; Secure" if secure else "")}


def caller_of(
    services: WebServices,
    headers: Headers,
    cookies: Mapping[str, str],
    *,
    host: str,
    state_changing: bool = True,
) -> Caller:
    """Verify the bearer token or the cookie; without either, make a visitor.

    A cookie counts on a state-changing route only when the browser's `Origin` is this host or an
    allowed one. Raises `PermissionDeniedError` for a token that does not verify.
    """
    authorization = headers.get("authorization")
    if authorization is not None:
        scheme, _, token = authorization.partition(" ")
        if scheme.lower() != "bearer" or not token.strip():
            raise PermissionDeniedError("the Authorization header must be 'Bearer <token>'")
        return Caller(identity=services.identity.verify(token.strip()))
    cookie = cookies.get(COOKIE)
    if cookie is not None:
        if state_changing:
            _check_origin(services, headers.get("origin"), host)
        try:
            return Caller(identity=services.identity.verify(cookie))
        except PermissionDeniedError:
            # an expired cookie must not lock a visitor out
            pass
    token, identity = services.identity.issue_visitor()
    return Caller(identity=identity, issued_token=token)


def _check_origin(services: WebServices, origin: str | None, host: str) -> None:
    if origin is None or origin in services.allowed_origins:
        return
    if origin.partition("://")[2] != host:
        raise ProblemError(
            Problem(
                status=403,
                title="Foreign origin",
                detail="The session cookie is accepted from this site's own pages only.",
                kind="foreign-origin",
            )
        )


def chat_request(
    services: WebServices,
    body: ChatBody,
    identity: Identity,
    *,
    traceparent: str | None,
    bundle: str | None = None,
) -> ChatRequest:
    """Return the domain request; 422 for a message over the limit."""
    if len(body.message) > services.limits.max_message_chars:
        limit = services.limits.max_message_chars
        detail = f"The message has {len(body.message)} characters; at most {limit} are accepted."
        raise ProblemError(
            Problem(
                status=422,
                title="The request is not valid",
                detail=detail,
                kind="invalid-request",
                errors=({"field": "message", "message": detail},),
            )
        )
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
        release_bundle=bundle,
    )
