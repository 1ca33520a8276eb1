"""Logins by SCRAM-SHA-256 against the example of RFC 7677, and everything that must fail."""

from __future__ import annotations

import base64
import hashlib
import hmac

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domicile.base.errors import InvalidRequest
from domicile.rpc.scram import Exchange, LoginFailed, Verifier, prepare

# Source: RFC 7677, section 3.
NONCE = "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0"
SALT = base64.b64decode("W22ZaJ0SNY7soEsUEjb6gQ==")
FIRST = b"n,,n=user,r=rOprNGfwEbeRWgbNEkqO"
CHALLENGE = b"r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"
PROOF = b"c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
ANSWER = b"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="
PENCIL = Verifier.of("pencil", SALT, 4096)


def challenged(first: bytes = FIRST, verifier: Verifier = PENCIL) -> Exchange:
    exchange = Exchange(NONCE)
    exchange.name_in(first)
    exchange.challenge(verifier)
    return exchange


def prove(password: str, first: bytes, challenge: bytes) -> bytes:
    """Answer as a client does."""
    words = dict(part.split("=", 1) for part in challenge.decode().split(","))
    salted = hashlib.pbkdf2_hmac("sha256", prepare(password).encode(), base64.b64decode(words["s"]), int(words["i"]))
    key = hmac.digest(salted, b"Client Key", "sha256")
    head, bare = first.decode().split("n=", 1)
    without = f"c={base64.b64encode(head.encode()).decode()},r={words['r']}"
    heard = f"n={bare},{challenge.decode()},{without}".encode()
    signature = hmac.digest(hashlib.sha256(key).digest(), heard, "sha256")
    proof = bytes(a ^ b for a, b in zip(key, signature, strict=True))
    return f"{without},p={base64.b64encode(proof).decode()}".encode()


def test_the_example() -> None:
    exchange = Exchange(NONCE)
    assert exchange.name_in(FIRST) == "user"
    assert exchange.challenge(PENCIL) == CHALLENGE
    assert exchange.final(PROOF) == ANSWER
    assert prove("pencil", FIRST, CHALLENGE) == PROOF


@pytest.mark.parametrize(
    "first",
    [
        b"", b"n,,", b"p=tls-unique,,n=user,r=abc", b"n,a=root,n=user,r=abc", b"n,,r=abc,n=user", b"n,,n=user", b"n,,n=user,r=",
        b"n,,n=us=er,r=abc", b"n,,m=x,n=user,r=abc", b"n,,n=user,r=abc,m=x", b"n,,n=,r=abc", b"n,,n=\xff,r=abc", b"n,,n=a\0,r=abc",
        b"n,,n=user,r=a\xc3\xa4", b"n,,n=\xc2\xad,r=abc", b"x" * 5000,
    ],
)  # fmt: skip
def test_first_messages_that_are_none(first: bytes) -> None:
    with pytest.raises(LoginFailed):
        Exchange(NONCE).name_in(first)


@pytest.mark.parametrize(
    "final",
    [
        b"", PROOF[:-4], PROOF[:-4] + b"AAA=", PROOF.replace(b"biws", b"eSws"), PROOF.replace(b"r=rO", b"r=xx"),
        PROOF.replace(b",p=", b",m=x,p="), PROOF.replace(b",p=", b",p=="), PROOF + b",p=", b"\xff" + PROOF,
        PROOF.split(b",p=")[0] + b",p=", PROOF.split(b",p=")[0],
    ],
)  # fmt: skip
def test_proofs_that_are_none(final: bytes) -> None:
    with pytest.raises(LoginFailed):
        challenged().final(final)


def test_a_proof_without_a_challenge_is_none() -> None:
    exchange = Exchange(NONCE)
    exchange.name_in(FIRST)
    with pytest.raises(LoginFailed):
        exchange.final(PROOF)


def test_another_password_fails_and_so_does_whoever_is_not_there() -> None:
    with pytest.raises(LoginFailed):
        challenged().final(prove("Pencil", FIRST, CHALLENGE))
    invented = Verifier.invented("user", b"secret")
    assert invented == Verifier.invented("user", b"secret") != Verifier.invented("user2", b"secret")
    exchange = Exchange(NONCE)
    exchange.name_in(FIRST)
    with pytest.raises(LoginFailed):
        exchange.final(prove("pencil", FIRST, exchange.challenge(invented)))


@given(st.text(max_size=20))
def test_any_password_fits_itself(password: str) -> None:
    try:
        kept = Verifier.read(Verifier.of(password, iterations=4096).written())
    except InvalidRequest:
        return
    exchange = Exchange()
    first = b"y,,n=a=2Cb=3Dc,r=abc"
    assert exchange.name_in(first) == "a,b=c"
    assert exchange.final(prove(password, first, exchange.challenge(kept))).startswith(b"v=")


@given(st.binary(max_size=60), st.binary(max_size=60))
def test_whatever_comes_it_fails_in_one_way(first: bytes, final: bytes) -> None:
    for opening in (first, b"n,," + first, b"n,,n=" + first):
        exchange = Exchange(NONCE)
        try:
            exchange.name_in(opening)
            exchange.challenge(PENCIL)
        except LoginFailed:
            continue
        with pytest.raises(LoginFailed):
            exchange.final(final)


# Source: RFC 4013, section 3.
@pytest.mark.parametrize(
    ("text", "made"),
    [("I\u00adX", "IX"), ("user", "user"), ("USER", "USER"), ("\u00aa", "a"), ("\u2168", "IX"), ("a\u3000b", "a b")],
)
def test_what_is_compared(text: str, made: str) -> None:
    assert prepare(text) == made


@pytest.mark.parametrize(
    "text", ["\u0007", "\u0627\u0031", "", "\u00ad", "\ue000", "\ud800", "\u0221", "\u0627a\u0627"]
)
def test_what_may_not_be_compared(text: str) -> None:
    with pytest.raises(InvalidRequest):
        prepare(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "x",
        "SCRAM-SHA-1$4096:AA==$AA==:AA==",
        PENCIL.written().replace("4096", "1"),
        PENCIL.written() + "$",
        PENCIL.written()[:-9],
    ],
)
def test_verifiers_that_are_none(text: str) -> None:
    with pytest.raises(InvalidRequest):
        Verifier.read(text)
    assert Verifier.read(PENCIL.written()) == PENCIL
