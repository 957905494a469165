"""Who asks: visitors by a token that we sign, customers by a JWT that we verify."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from mangaassist.domain.chat import Identity
from mangaassist.domain.errors import ConfigurationError, PermissionDeniedError
from mangaassist.ports.clock import Clock, IdFactory

VISITOR_ISSUER = "mangaassist-visitor"
VISITOR_LIFETIME = timedelta(days=30)
CUSTOMER_LIFETIME = timedelta(hours=8)
CLOCK_SKEW_S = 60
MIN_SECRET_BYTES = 32
MAX_TOKEN_CHARS = 4_096
MAX_REMEMBERED_TOKENS = 1_024


@dataclass(frozen=True, slots=True, kw_only=True)
class CustomerKeys:
    """How customer tokens are verified: a shared secret, or public keys as a PEM or a JWKS document."""

    issuer: str
    audience: str
    secret: str | None = None
    public_key: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Key:
    """One key and the only algorithm that it verifies."""

    algorithm: str
    material: Any  # a secret's text or a public key object of either kind


@dataclass(frozen=True, slots=True, kw_only=True)
class _Verified:
    """What a token with a good signature says."""

    identity: Identity
    starts_s: float
    ends_s: float


class IdentityService:
    """Verifies bearer tokens and issues visitor tokens.

    The claimed issuer and key id only choose a key; the key fixes the algorithm. So neither `none` nor a
    public key used as an HMAC secret is ever accepted. A signature is computed once a token: the last
    `MAX_REMEMBERED_TOKENS` good tokens are remembered, their times are looked at on every use.
    """

    def __init__(self, *, session_secret: str, customers: CustomerKeys, clock: Clock, ids: IdFactory) -> None:
        self._session_key = _secret_key(session_secret, name="the session secret")
        self._customers = customers
        self._customer_keys = _customer_keys(customers)
        self._clock = clock
        self._ids = ids
        self._remembered: OrderedDict[str, _Verified] = OrderedDict()

    def issue_visitor(self) -> tuple[str, Identity]:
        """Return a fresh visitor's token and identity."""
        visitor_id = self._ids.sortable("vis")
        token = self._issue(
            self._session_key, {"sub": visitor_id, "iss": VISITOR_ISSUER}, lifetime=VISITOR_LIFETIME
        )
        return token, Identity(owner=f"visitor:{visitor_id}")

    def issue_customer(self, customer_id: str, *, member: bool) -> str:
        """Return a customer's token; only the embedded profile does this, for its demo customers."""
        key = self._customer_keys.get(None)
        if key is None or key.algorithm != "HS256":
            raise ConfigurationError("demo customers need a shared secret; unset the public key")
        claims = {
            "sub": customer_id,
            "iss": self._customers.issuer,
            "aud": self._customers.audience,
            "member": member,
        }
        return self._issue(key, claims, lifetime=CUSTOMER_LIFETIME)

    def verify(self, token: str) -> Identity:
        """Return who the token speaks for, or raise `PermissionDeniedError`."""
        verified = self._remembered.get(token)
        if verified is None:
            verified = self._verified(token)
            self._remembered[token] = verified
            if len(self._remembered) > MAX_REMEMBERED_TOKENS:
                self._remembered.popitem(last=False)
        else:
            self._remembered.move_to_end(token)
        now_s = self._clock.now().timestamp()
        if not verified.starts_s - CLOCK_SKEW_S <= now_s <= verified.ends_s + CLOCK_SKEW_S:
            raise PermissionDeniedError("the token has expired, or is not valid yet")
        return verified.identity

    def _verified(self, token: str) -> _Verified:
        """Check everything about a token but its times."""
        if len(token) > MAX_TOKEN_CHARS:
            raise PermissionDeniedError("the token is too long")
        try:
            claimed = jwt.decode_complete(token, options={"verify_signature": False})
            if claimed["payload"].get("iss") == VISITOR_ISSUER:
                claims = self._decode(token, self._session_key, issuer=VISITOR_ISSUER, audience=None)
                identity = Identity(owner=f"visitor:{claims['sub']}")
            else:
                identity, claims = self._customer(token, claimed["header"].get("kid"))
            return _Verified(
                identity=identity,
                starts_s=max(float(claims["iat"]), float(claims.get("nbf", 0))),
                ends_s=float(claims["exp"]),
            )
        except (jwt.PyJWTError, ValueError, TypeError) as error:
            raise PermissionDeniedError("the token is not valid") from error

    def _customer(self, token: str, key_id: str | None) -> tuple[Identity, dict[str, Any]]:
        key = self._customer_keys.get(key_id) or self._customer_keys.get(None)
        if key is None:
            raise jwt.InvalidKeyError("no key has this kid")
        claims = self._decode(token, key, issuer=self._customers.issuer, audience=self._customers.audience)
        identity = Identity(
            owner=f"customer:{claims['sub']}",
            customer_id=claims["sub"],
            user_type="member" if claims.get("member") is True else "signed_in",
        )
        return identity, claims

    def _issue(self, key: _Key, claims: Mapping[str, object], *, lifetime: timedelta) -> str:
        now = self._clock.now()
        return jwt.encode(
            {**claims, "iat": now, "exp": now + lifetime}, key.material, algorithm=key.algorithm
        )

    def _decode(self, token: str, key: _Key, *, issuer: str, audience: str | None) -> dict[str, Any]:
        claims: dict[str, Any] = jwt.decode(
            token,
            key.material,
            algorithms=[key.algorithm],
            issuer=issuer,
            audience=audience,
            # times are checked on every use, against our own clock
            options={
                "require": ["exp", "iat", "sub", "iss"],
                "verify_aud": audience is not None,
                "verify_exp": False,
                "verify_iat": False,
                "verify_nbf": False,
            },
        )
        subject = claims["sub"]
        if not (
            isinstance(subject, str)
            and 0 < len(subject) <= 128
            and subject.isascii()
            and subject.isprintable()
        ):
            raise jwt.InvalidTokenError("sub must be 1 to 128 printable ASCII characters")
        return claims


def _secret_key(secret: str, *, name: str) -> _Key:
    if len(secret.encode()) < MIN_SECRET_BYTES:
        raise ConfigurationError(f"{name} must have at least {MIN_SECRET_BYTES} bytes")
    return _Key(algorithm="HS256", material=secret)


def _customer_keys(customers: CustomerKeys) -> Mapping[str | None, _Key]:
    """Return the keys by key id; None is the one for tokens that name no known key."""
    if customers.public_key is None:
        if customers.secret is None:
            raise ConfigurationError("customer tokens need a secret or a public key")
        return {None: _secret_key(customers.secret, name="the customers' JWT secret")}
    try:
        if not customers.public_key.lstrip().startswith("{"):
            return {None: _public_key(load_pem_public_key(customers.public_key.encode()))}
        keys = jwt.PyJWKSet.from_json(customers.public_key).keys
        return {key.key_id: _public_key(key.key) for key in keys}
    except (jwt.PyJWTError, ValueError) as error:
        raise ConfigurationError(f"the customers' public keys cannot be read: {error}") from error


def _public_key(key: object) -> _Key:
    if isinstance(key, RSAPublicKey):
        return _Key(algorithm="RS256", material=key)
    if isinstance(key, EllipticCurvePublicKey) and isinstance(key.curve, SECP256R1):
        return _Key(algorithm="ES256", material=key)
    raise ConfigurationError("a customers' key must be an RSA or a P-256 public key")
