"""Who the caller is: visitor tokens, and the customers of the demo."""

from __future__ import annotations

import orjson
from starlette.endpoints import HTTPEndpoint
from starlette.requests import Request
from starlette.responses import Response

from mangaassist.domain.errors import NotFoundError
from mangaassist.web.problems import refuse
from mangaassist.web.schemas import DemoLoginBody
from mangaassist.web.services import services_of
from mangaassist.web.sessions import Caller, known_caller, limit_address, received, session_cookie


class Session(HTTPEndpoint):
    """/v1/session: see, start or end the caller's identity."""

    async def get(self, request: Request) -> Response:
        """Say who the caller is; `none` before the first token."""
        identity = known_caller(request)
        return _json(
            {
                "user_type": identity.user_type if identity else "none",
                "customer_id": identity.customer_id if identity else None,
            }
        )

    async def post(self, request: Request) -> Response:
        """Issue a visitor token."""
        limit_address(request)
        token, identity = services_of(request).identity.issue_visitor()
        return _json(
            {"token": token, "token_type": "Bearer"},
            status=201,
            headers=Caller(identity=identity, issued_token=token).headers(secure=_is_secure(request)),
        )

    async def delete(self, request: Request) -> Response:
        """Forget the session cookie."""
        forgotten = session_cookie("", secure=_is_secure(request), max_age_s=0)
        return Response(status_code=204, headers={"set-cookie": forgotten, "cache-control": "no-store"})


async def demo_customers(request: Request) -> Response:
    """List the demo customers; 404 unless the demo is on."""
    customers = services_of(request).demo_customers
    if not customers:
        refuse(404, "There are no demo customers here.")
    return _json(
        {
            "notice": "Invented customers of the embedded demo; no password is asked.",
            "customers": [
                {
                    "customer_id": customer.customer_id,
                    "name": customer.name,
                    "member": customer.member,
                    "points": customer.points,
                }
                for customer in customers
            ],
        }
    )


async def demo_login(request: Request) -> Response:
    """Issue a token for a demo customer, and say that it is one; also as the session cookie."""
    services = services_of(request)
    if not services.demo_customers:
        refuse(404, "There are no demo customers here.")
    _, body = await received(request, DemoLoginBody)
    for customer in services.demo_customers:
        if customer.customer_id == body.customer_id:
            token = services.identity.issue_customer(customer.customer_id, member=customer.member)
            return _json(
                {
                    "token": token,
                    "token_type": "Bearer",
                    "customer_id": customer.customer_id,
                    "name": customer.name,
                    "notice": "A demo customer: no password was asked, which only the embedded profile does.",
                },
                headers={"set-cookie": session_cookie(token, secure=_is_secure(request))},
            )
    raise NotFoundError(f"there is no demo customer {body.customer_id!r}")


def _is_secure(request: Request) -> bool:
    return request.url.scheme == "https"


def _json(content: object, *, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    return Response(
        orjson.dumps(content),
        status_code=status,
        media_type="application/json",
        headers={"cache-control": "no-store", **(headers or {})},
    )
