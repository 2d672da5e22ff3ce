"""Forged, foreign, old and too wide client tokens: none is taken, and none costs more than a look."""

import base64
import json
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from app.access import client_tokens
from app.access.client_tokens import LIFE_S_MAX, NAMESPACES_MAX, TOKEN_CHARS_MAX
from app.access.keys import Principal, hash_key
from app.access.token_keys import TokenKeys, read_token_keys, secret_key
from app.model.errors import Unauthorized
from app.model.webhook_problem import NotConfigured
from app.settings import Settings, SettingsError, read_settings
from app.store.changes import EVERYTHING, Changed
from tests.support.client_tokens import BOOTSTRAP, DEPLOYMENT, MAKER, NOW_S, SECRET, Issuer, ed25519_key

ED25519 = ed25519_key()
KINDS = [SECRET, ED25519]
WRONG_TIMES: list[Any] = [-1, 2**64, 10**400, "9", 1.5, True, None, []]
PEM = Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()


def part(fields: dict[str, Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(fields).encode()).decode().rstrip("=")


def refused(issuer: Issuer, token: str) -> str:
    with pytest.raises(Unauthorized) as problem:
        issuer.principal(token)
    return problem.value.detail


@pytest.mark.parametrize("key", KINDS, ids=lambda key: key.algorithm)
def test_a_token_reads_for_its_user_what_it_names(key: Any) -> None:
    issuer = Issuer(key)
    principal = issuer.principal(issuer.make("ann", namespaces=("f1-*",)))
    assert (principal.id, principal.user, principal.scopes) == ("maker", "ann", ("read:f1-*",))
    assert principal.may("read", "f1-2021")
    assert not any(principal.may(scope, name) for scope, name in (("write", "f1-1"), ("admin", "f1-1"), ("read", "x")))


@pytest.mark.parametrize("key", KINDS, ids=lambda key: key.algorithm)
def test_a_signature_of_another_kind_or_none_is_refused(key: Any) -> None:
    issuer = Issuer(key)
    good = issuer.make()
    _, claims, signature = good.split(".")
    fields = jwt.decode(good, options={"verify_signature": False})
    public = ED25519.sign.public_key()
    texts = [public.public_bytes_raw(), public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)]
    forgeries = [f"{part({'alg': alg, 'kid': key.kid, 'typ': 'JWT'})}.{claims}.{signature}" for alg in ("none", "None")]
    forgeries += [f"{part({'alg': 'none', 'kid': key.kid})}.{claims}.AA", f"{part({'kid': key.kid})}.{claims}.AA"]
    # The public key, which anybody may have, as the secret of HS256.
    forgeries += [_hs256(claims, text, key.kid) for text in texts]
    forgeries += [jwt.encode(fields, "w" * 32, algorithm="HS256", headers={"kid": key.kid})]
    forgeries += [jwt.encode(fields, "w" * 64, algorithm="HS512", headers={"kid": key.kid})]
    other = Ed25519PrivateKey.generate()
    forgeries += [jwt.encode(fields, other, algorithm="EdDSA", headers={"kid": key.kid})]
    # Keys that the token itself brings, and what a header may demand.
    for more in (
        {"jwk": {"kty": "oct", "k": "AAAA"}},
        {"jku": "http://127.0.0.1/"},
        {"crit": ["x"], "x": 1},
    ):
        forgeries += [jwt.encode(fields, "w" * 32, algorithm="HS256", headers={"kid": key.kid, **more})]
    assert {refused(issuer, forgery) for forgery in forgeries} == {
        "the token is no client token of this deployment, or was changed"
    }


def _hs256(claims: str, secret: bytes, kid: str) -> str:
    import hmac

    text = f"{part({'alg': 'HS256', 'kid': kid})}.{claims}"
    digest = hmac.new(secret, text.encode(), "sha256").digest()
    return f"{text}.{base64.urlsafe_b64encode(digest).decode().rstrip('=')}"


@pytest.mark.parametrize("kid", ["../../etc/passwd", "/dev/null", "", "x' OR 1", 7, None, ["a"], {"a": 1}, "x" * 2_000])
def test_a_kid_is_a_name_and_nothing_else(kid: Any) -> None:
    issuer = Issuer()
    _, claims, signature = issuer.make().split(".")
    head = {"alg": "HS256"} if kid is None else {"alg": "HS256", "kid": kid}
    assert refused(issuer, f"{part(head)}.{claims}.{signature}")
    assert issuer.lookups == 0


@pytest.mark.parametrize(
    ("claims", "why"),
    [
        ({"aud": "d2"}, "the token is one of another deployment"),
        ({"aud": [DEPLOYMENT]}, "the token is one of another deployment"),
        ({"aud": None}, "is no client token"),
        ({"exp": NOW_S + 10 * 365 * LIFE_S_MAX}, "lives for at most"),
        ({"exp": NOW_S + LIFE_S_MAX + 1}, "lives for at most"),
        ({"iat": NOW_S + 61, "exp": NOW_S + 100}, "not valid yet"),
        ({"iat": NOW_S - 100, "exp": NOW_S - 200}, "lives for at most"),
        ({"nbf": NOW_S + 61}, "not valid yet"),
        ({"iat": NOW_S - 60, "exp": NOW_S}, "the token expired at 2027-01-15T08:00:00Z"),
        *(({"exp": exp}, "is no client token") for exp in WRONG_TIMES),
        *(({"iat": iat}, "is no client token") for iat in (-1, None, "x")),
        *(({"sub": sub}, "is no client token") for sub in ("", None, 7, "x" * 129)),
        *(({"ns": ns}, "is no client token") for ns in ([], None, "f1-1", [1], ["f1-?"], ["[a]"], ["a"] * 21)),
        ({"ns": ["*"]}, "no right any more"),
        ({"ns": ["f1-1", "f*"]}, "no right any more"),
        ({"key": "other"}, "the key that made this token is revoked"),
        ({"key": "boot"}, "the key that made this token is revoked"),
        ({"proof": "0" * 16}, "the key that made this token is revoked"),
        ({"proof": None}, "is no client token"),
    ],
)
def test_claims_are_judged_though_the_signature_is_right(claims: dict[str, Any], why: str) -> None:
    issuer = Issuer()
    assert why in refused(issuer, issuer.forge(**claims))


def test_a_huge_token_is_refused_before_it_is_read() -> None:
    issuer = Issuer()
    assert "characters" in refused(issuer, issuer.forge(more="x" * TOKEN_CHARS_MAX))
    deep = base64.urlsafe_b64encode(b"[" * 2_900).decode().rstrip("=")
    assert refused(issuer, f"{deep}.{deep[:8]}.AA")
    nested = f"{part({'alg': 'HS256', 'kid': SECRET.kid})}.{deep[:3_000]}"
    assert refused(issuer, f"{nested}.AA")


def test_the_largest_token_fits() -> None:
    issuer = Issuer(scopes=("read:*", "write:*"))
    token = issuer.make(
        "\U0001f600" * 32, namespaces=tuple(f"{i:064}" for i in range(NAMESPACES_MAX)), life_s=LIFE_S_MAX
    )
    assert len(token) <= TOKEN_CHARS_MAX
    assert issuer.principal(token).user == "\U0001f600" * 32


def test_a_token_dies_with_its_keys_secret_and_not_only_with_its_id() -> None:
    issuer = Issuer()
    token = issuer.make()
    assert issuer.principal(token).user == "ann"
    assert issuer.record is not None
    issuer.record = type(issuer.record)("maker", hash_key(MAKER + "x"), issuer.record.scopes)
    issuer.namespace_cache.forget(Changed(keys=frozenset({"maker"})))
    assert "is revoked" in refused(issuer, token)


@pytest.mark.parametrize("changed", [Changed(keys=frozenset({"maker"})), EVERYTHING])
def test_a_token_of_a_revoked_key_is_forgotten_at_once(changed: Changed) -> None:
    issuer = Issuer()
    token = issuer.make()
    principal = issuer.principal(token)
    assert issuer.keyring.is_current(principal)
    issuer.record = None
    issuer.namespace_cache.forget(changed)
    assert issuer.keyring.cached(token) is None
    assert not issuer.keyring.is_current(principal)
    assert "is revoked" in refused(issuer, token)


def test_a_key_revoked_while_a_token_is_looked_up_is_not_remembered() -> None:
    issuer = Issuer()
    token, record = issuer.make(), issuer.record

    async def call(_: Any) -> Any:
        issuer.record = None
        issuer.namespace_cache.forget(Changed(keys=frozenset({"maker"})))
        return b"1 " + json.dumps({"id": "maker", "hash": record.hash, "scopes": record.scopes}).encode()  # type: ignore[union-attr]

    before, issuer.namespace_cache.call = issuer.namespace_cache.call, call
    issuer.principal(token)
    issuer.namespace_cache.call = before
    assert issuer.keyring.cached(token) is None
    assert "is revoked" in refused(issuer, token)


def counted_checks(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How often the library reads a whole token, from now on."""
    count, decode = [0], jwt.decode

    def counted(*args: Any, **more: Any) -> Any:
        count[0] += 1
        return decode(*args, **more)

    monkeypatch.setattr(jwt, "decode", counted)
    return count


@pytest.mark.parametrize("key", KINDS, ids=lambda key: key.algorithm)
def test_a_token_with_a_wrong_signature_is_not_read(monkeypatch: pytest.MonkeyPatch, key: Any) -> None:
    """A flood of them costs what a flood of unknown keys does, and the signature's own check."""
    issuer = Issuer(key)
    head, claims, signature = issuer.make().split(".")
    count, long = counted_checks(monkeypatch), part({"x": "y" * 2_500})
    forgeries = [f"{head}.{long}.{signature}", f"{head}.{claims}.{signature[:-8]}", f"{head}.{claims}.A"]
    forgeries += [f"{head}.{claims}.{base64.urlsafe_b64encode(bytes([i] * 64)).decode().rstrip('=')}" for i in range(9)]
    for forgery in forgeries:
        assert refused(issuer, forgery)
    assert (count[0], issuer.lookups, len(issuer.tokens._verified)) == (0, 0, 0)


def test_expired_tokens_push_out_none_that_is_valid(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client_tokens, "VERIFIED_MAX", 3)
    issuer = Issuer()
    old = [issuer.make(f"old{i}", life_s=10) for i in range(3)]
    valid = [issuer.make(f"u{i}") for i in range(2)]
    for text in valid:
        issuer.principal(text)
    issuer.now_s += 20
    for text in old * 2:
        assert "expired" in refused(issuer, text)
    assert [text in issuer.tokens._verified for text in valid] == [True, True]
    assert len(issuer.tokens._verified) <= 3


def test_a_token_is_verified_once_and_ends_at_its_time(monkeypatch: pytest.MonkeyPatch) -> None:
    issuer = Issuer()
    token = issuer.make(life_s=60)
    count = counted_checks(monkeypatch)
    principal = issuer.principal(token)
    for _ in range(3):
        assert issuer.principal(token) is principal
        issuer.namespace_cache.forget(EVERYTHING)
        principal = issuer.principal(token)
    assert (count[0], issuer.lookups) == (1, 4)
    issuer.now_s += 60
    assert issuer.keyring.cached(token) is None
    assert issuer.keyring.has_expired(principal)
    for _ in range(3):
        assert refused(issuer, token) == "the token expired at 2027-01-15T08:01:00Z"
    assert count[0] == 1, "a page that does not ask for a new one costs no second check"


def test_many_tokens_take_bounded_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client_tokens, "VERIFIED_MAX", 3)
    monkeypatch.setattr("app.access.keys._CACHED_MAX", 3)
    issuer = Issuer()
    issuer.principal(BOOTSTRAP)
    texts = [issuer.make(f"u{i}") for i in range(5)]
    for text in texts:
        issuer.principal(text)
    assert len(issuer.tokens._verified) == 3
    assert [issuer.keyring.cached(text) is not None for text in texts] == [False, False, True, True, True]
    assert issuer.keyring.cached(BOOTSTRAP) is not None
    issuer.namespace_cache.forget(Changed(keys=frozenset({"maker"})))
    assert not any(issuer.keyring.cached(text) for text in texts)
    assert issuer.keyring.cached(BOOTSTRAP) is not None


def test_a_token_of_the_bootstrap_key_dies_with_it() -> None:
    issuer = Issuer()
    token = issuer.signed("ann", namespaces=("*",), life_s=60, key=BOOTSTRAP).text
    assert issuer.principal(token).may("read", "anything")
    other = issuer.signed("ann", namespaces=("*",), life_s=60, key=BOOTSTRAP + "x").text
    assert "is revoked" in refused(issuer, other)


def test_keys_rotate() -> None:
    old, new = Issuer(SECRET), Issuer(ED25519, SECRET)
    before = old.make()
    assert new.principal(before).user == "ann"
    assert jwt.get_unverified_header(new.make())["alg"] == "EdDSA"
    assert "does not have" in refused(Issuer(ED25519), before)


def test_without_keys_no_token_is_made_and_none_is_taken() -> None:
    with pytest.raises(NotConfigured, match="LEADERBOARD_TOKEN_KEYS"):
        TokenKeys().first()
    issuer = Issuer()
    issuer.tokens._keys = TokenKeys()
    assert "LEADERBOARD_TOKEN_KEYS is not set" in refused(issuer, Issuer().make())


def test_a_key_shows_nothing_of_a_token() -> None:
    issuer = Issuer()
    token = issuer.make()
    assert token not in repr(issuer.principal(token))
    assert "s" * 32 not in repr(Principal("a", ()))


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"short",
        base64.b64encode(b"x" * 31),
        b"\xff" * 40,
        b"x" * 10_000,
        b"-----BEGIN PRIVATE KEY-----\nAA\n",
        b"-----BEGIN",
    ],
)
def test_a_file_that_holds_no_key_stops_the_start(tmp_path: Path, text: bytes) -> None:
    file = tmp_path / "key"
    file.write_bytes(text)
    with pytest.raises(SettingsError, match="LEADERBOARD_TOKEN_KEYS: file 1 must hold"):
        read_token_keys(Settings(token_keys=str(file)))


def test_a_key_of_another_kind_stops_the_start(tmp_path: Path) -> None:
    file, private = tmp_path / "key", Ed25519PrivateKey.generate()
    public = private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    for data in (generate_private_key(65537, 2048).private_bytes(*PEM), public):
        file.write_bytes(data)
        with pytest.raises(SettingsError, match="private Ed25519 key"):
            read_token_keys(Settings(token_keys=str(file)))
    with pytest.raises(SettingsError) as missing:
        read_token_keys(Settings(token_keys=f"{file},my-secret-in-the-wrong-place"))
    assert "wrong-place" not in str(missing.value)
    with pytest.raises(SettingsError) as unknown:
        read_settings({"LEADERBOARD_TOKEN_KEY": "my-secret"})
    assert "my-secret" not in str(unknown.value)


def test_files_make_keys_of_their_kind(tmp_path: Path) -> None:
    private, files = Ed25519PrivateKey.generate(), [tmp_path / "a", tmp_path / "b"]
    files[0].write_bytes(private.private_bytes(*PEM))
    files[1].write_text(base64.urlsafe_b64encode(b"\xfb" * 32).decode() + "\n")
    keys = read_token_keys(Settings(token_keys=f"{files[0]}, {files[1]}"))
    assert keys.first().algorithm == "EdDSA"
    assert [key.algorithm for key in keys.by_kid.values()] == ["EdDSA", "HS256"]
    assert secret_key(b"\xfb" * 32).kid in keys.by_kid
    issuer = Issuer(*keys.by_kid.values())
    assert issuer.principal(issuer.make()).user == "ann"
