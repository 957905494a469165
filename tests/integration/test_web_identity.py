"""Tokens: what is accepted, and every way in which one is refused."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from datetime import timedelta
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st

from mangaassist.domain.errors import ConfigurationError, PermissionDeniedError
from mangaassist.web.identity import CustomerKeys, IdentityService
from tests.support.clock import FakeClock, SequentialIds
from tests.support.web import CUSTOMER_SECRET, SESSION_SECRET

RSA_KEY = rsa.generate_private_key(public_exponent=65_537, key_size=2_048)
EC_KEY = ec.generate_private_key(ec.SECP256R1())


def pem(key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey) -> str:
    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


def service(
    clock: FakeClock | None = None, *, secret: str | None = None, public_key: str | None = None
) -> IdentityService:
    return IdentityService(
        session_secret=SESSION_SECRET,
        customers=CustomerKeys(
            issuer="idp",
            audience="shop",
            secret=secret if secret or public_key else CUSTOMER_SECRET,
            public_key=public_key,
        ),
        clock=clock or FakeClock(),
        ids=SequentialIds(),
    )


def claims(**changes: object) -> dict[str, Any]:
    now = FakeClock().now().timestamp()
    base = {"sub": "C-1", "iss": "idp", "aud": "shop", "iat": now, "exp": now + 600}
    return {name: value for name, value in {**base, **changes}.items() if value is not None}


def signed(
    key: Any = CUSTOMER_SECRET, algorithm: str = "HS256", kid: str | None = None, **changes: object
) -> str:
    headers = {"kid": kid} if kid else None
    return jwt.encode(claims(**changes), key, algorithm=algorithm, headers=headers)


def test_a_visitor_is_recognised_by_the_token_we_gave() -> None:
    identities = service()
    token, identity = identities.issue_visitor()
    assert identities.verify(token) == identity
    assert identity.customer_id is None


def test_a_customer_is_who_the_token_says() -> None:
    identity = service().verify(signed(member=True))
    assert (identity.owner, identity.customer_id, identity.user_type) == ("customer:C-1", "C-1", "member")


@pytest.mark.parametrize(("key", "algorithm"), [(RSA_KEY, "RS256"), (EC_KEY, "ES256")])
def test_public_keys_verify_their_own_algorithm(key: Any, algorithm: str) -> None:
    identities = service(public_key=pem(key))
    assert identities.verify(signed(key, algorithm)).customer_id == "C-1"


def test_a_jwks_document_chooses_the_key_by_its_id() -> None:
    entries = [
        {
            **jwt.algorithms.RSAAlgorithm.to_jwk(RSA_KEY.public_key(), as_dict=True),
            "kid": "old",
            "alg": "RS256",
        },
        {
            **jwt.algorithms.ECAlgorithm.to_jwk(EC_KEY.public_key(), as_dict=True),
            "kid": "new",
            "alg": "ES256",
        },
    ]
    identities = service(public_key=json.dumps({"keys": entries}))
    assert identities.verify(signed(RSA_KEY, "RS256", kid="old")).customer_id == "C-1"
    assert identities.verify(signed(EC_KEY, "ES256", kid="new")).customer_id == "C-1"
    for token in (
        signed(RSA_KEY, "RS256", kid="new"),
        signed(RSA_KEY, "RS256", kid="?"),
        signed(RSA_KEY, "RS256"),
    ):
        with pytest.raises(PermissionDeniedError):
            identities.verify(token)


def test_a_public_key_is_never_taken_for_a_shared_secret() -> None:
    def part(content: bytes) -> bytes:
        return base64.urlsafe_b64encode(content).rstrip(b"=")

    unsigned = part(b'{"alg":"HS256","typ":"JWT"}') + b"." + part(json.dumps(claims()).encode())
    mac = hmac.new(pem(RSA_KEY).encode(), unsigned, hashlib.sha256).digest()
    with pytest.raises(PermissionDeniedError):
        service(public_key=pem(RSA_KEY)).verify((unsigned + b"." + part(mac)).decode())


@pytest.mark.parametrize(
    "token",
    [
        signed("", "none"),
        signed("", "none", iss="mangaassist-visitor"),
        signed("a secret of somebody else, as long as ours"),
        signed(SESSION_SECRET),
        signed(CUSTOMER_SECRET, iss="mangaassist-visitor"),
        signed(CUSTOMER_SECRET * 2, "HS512"),
        signed(RSA_KEY, "RS256"),
        signed(aud="another shop"),
        signed(aud=None),
        signed(iss="another issuer"),
        signed(iss=None),
        signed(sub=None),
        signed(sub=""),
        signed(sub="a\x00b"),
        signed(sub="x" * 129),
        signed(exp=None),
        signed(iat=None),
        signed(exp="soon"),
        signed(exp=[1]),
        "",
        "a.b.c",
        "é.é.é",
        "a" * 100_000,
    ],
)
def test_forged_foreign_and_broken_tokens_are_refused(token: str) -> None:
    with pytest.raises(PermissionDeniedError):
        service().verify(token)


def test_times_count_by_our_clock_with_a_minute_of_grace() -> None:
    clock = FakeClock()
    identities = service(clock)
    token = signed()
    clock.advance(600 + 60)
    identities.verify(token)
    clock.advance(1)
    with pytest.raises(PermissionDeniedError):
        identities.verify(token)


def test_a_token_of_the_future_is_refused() -> None:
    later = (FakeClock().now() + timedelta(seconds=61)).timestamp()
    for token in (signed(iat=later), signed(nbf=later)):
        with pytest.raises(PermissionDeniedError):
            service().verify(token)


@given(position=st.integers(0, 400), character=st.characters(codec="ascii"))
def test_a_token_with_one_character_changed_is_never_somebody_else(position: int, character: str) -> None:
    identities = service()
    token, identity = identities.issue_visitor()
    position %= len(token)
    changed = token[:position] + character + token[position + 1 :]
    try:
        assert identities.verify(changed) == identity
    except PermissionDeniedError:
        assert changed != token


@pytest.mark.parametrize(
    "keys",
    [
        {"secret": "short"},
        {"public_key": "no key"},
        {"public_key": '{"keys": []}'},
        {"public_key": pem(ed25519.Ed25519PrivateKey.generate())},
        {"public_key": pem(ec.generate_private_key(ec.SECP384R1()))},
    ],
)
def test_unusable_keys_stop_the_start(keys: dict[str, str]) -> None:
    with pytest.raises(ConfigurationError):
        service(secret=keys.get("secret"), public_key=keys.get("public_key"))


def test_demo_tokens_need_a_shared_secret() -> None:
    with pytest.raises(ConfigurationError):
        service(public_key=pem(RSA_KEY)).issue_customer("C-1", member=False)
