"""Who asks: visitors by a token that we sign, customers by a JWT that we verify."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

import jwt

from mangaassist.domain.chat import Identity
from mangaassist.domain.errors import ConfigurationError, PermissionDeniedError
from mangaassist.ports.clock import Clock, IdFactory

VISITOR_ISSUER = "mangaassist-visitor"
VISITOR_LIFETIME = timedelta(days=30)
CUSTOMER_LIFETIME = timedelta(hours=8)
CLOCK_SKEW_S = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class CustomerKeys:
    """How customer tokens are verified: either a shared secret (HS256) or a public key (RS256, ES256)."""

    issuer: str
    audience: str
    secret: str | None = None
    public_key: str | None = None

    def verification(self) -> tuple[str, Sequence[str]]:
        """Return the key and the only algorithms it may be used with."""
        if self.public_key is not None:
            return self.public_key, ("RS256", "ES256")
        if self.secret is not None:
            return self.secret, ("HS256",)
        raise ConfigurationError(
            "customer tokens cannot be verified: no secret and no public key is configured"
        )


class IdentityService:
    """Verifies bearer tokens and issues visitor tokens.

    The claimed issuer only chooses the key; the algorithm is fixed by the key, so that neither `none` nor a
    public key used as an HMAC secret is ever accepted.
    """

    def __init__(self, *, session_secret: str, customers: CustomerKeys, clock: Clock, ids: IdFactory) -> None:
        self._session_secret = session_secret
        self._customers = customers
        self._clock = clock
        self._ids = ids

    def issue_visitor(self) -> tuple[str, Identity]:
        """Return a fresh visitor's token and identity."""
        visitor_id = self._ids.sortable("vis")
        now = self._clock.now()
        token = jwt.encode(
            {"sub": visitor_id, "iss": VISITOR_ISSUER, "iat": now, "exp": now + VISITOR_LIFETIME},
            self._session_secret,
            algorithm="HS256",
        )
        return token, Identity(owner=f"visitor:{visitor_id}")

    def issue_customer(self, customer_id: str, *, member: bool) -> str:
        """Return a customer's token; only the embedded profile does this, for its demo customers."""
        if self._customers.secret is None:
            raise ConfigurationError("demo tokens need a shared secret")
        now = self._clock.now()
        return jwt.encode(
            {
                "sub": customer_id,
                "iss": self._customers.issuer,
                "aud": self._customers.audience,
                "iat": now,
                "exp": now + CUSTOMER_LIFETIME,
                "member": member,
            },
            self._customers.secret,
            algorithm="HS256",
        )

    def verify(self, token: str) -> Identity:
        """Return who the token speaks for, or raise `PermissionDeniedError`."""
        try:
            claimed = jwt.decode(token, options={"verify_signature": False})
            if claimed.get("iss") == VISITOR_ISSUER:
                claims = self._decode(
                    token, self._session_secret, ("HS256",), issuer=VISITOR_ISSUER, audience=None
                )
                return Identity(owner=f"visitor:{claims['sub']}")
            key, algorithms = self._customers.verification()
            claims = self._decode(
                token, key, algorithms, issuer=self._customers.issuer, audience=self._customers.audience
            )
        except (jwt.InvalidTokenError, jwt.InvalidKeyError) as error:
            raise PermissionDeniedError(f"the token is not valid: {error}") from error
        customer_id = str(claims["sub"])
        return Identity(
            owner=f"customer:{customer_id}",
            customer_id=customer_id,
            user_type="member" if claims.get("member") is True else "signed_in",
        )

    def _decode(
        self, token: str, key: str, algorithms: Sequence[str], *, issuer: str, audience: str | None
    ) -> dict[str, object]:
        claims: dict[str, object] = jwt.decode(
            token,
            key,
            algorithms=list(algorithms),
            issuer=issuer,
            audience=audience,
            leeway=CLOCK_SKEW_S,
            options={"require": ["exp", "iat", "sub", "iss"], "verify_aud": audience is not None},
        )
        subject = claims.get("sub")
        if not isinstance(subject, str) or not subject or len(subject) > 128:
            raise jwt.InvalidTokenError("sub must be a text of at most 128 characters")
        return claims
