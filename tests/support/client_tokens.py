"""Client tokens, and forged ones, without a server: their keys, a clock that a test moves, and a keyring."""

import asyncio
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from app.access.client_tokens import ClientTokens, SignedToken
from app.access.keys import Keyring, Principal, hash_key
from app.access.token_keys import TokenKey, TokenKeys, secret_key
from app.store.namespace_cache import KeyRecord, NamespaceCache, key_text

NOW_S = 1_800_000_000
DEPLOYMENT = "d1"
MAKER = "lb_maker_0123456789abcdef"
BOOTSTRAP = "lb_boot_0123456789abcdef"
SECRET = secret_key(b"s" * 32)


class Issuer:
    """A deployment with one API key that makes tokens, and a bootstrap key. now_s: its time."""

    def __init__(self, *keys: TokenKey, scopes: tuple[str, ...] = ("read:f1-*", "write:f1-*")) -> None:
        self.now_s = NOW_S
        self.record: KeyRecord | None = KeyRecord("maker", hash_key(MAKER), scopes)
        self.lookups = 0
        self.namespace_cache = NamespaceCache(self._call)
        self.tokens = ClientTokens(TokenKeys(keys or (SECRET,)), lambda: self.now_s * 1_000_000, self._deployment)
        self.keyring = Keyring(self.namespace_cache, BOOTSTRAP, self.tokens)

    def make(self, user: str = "ann", *, namespaces: tuple[str, ...] = ("f1-*",), life_s: int = 60) -> str:
        """A token of the API key."""
        return self.signed(user, namespaces=namespaces, life_s=life_s).text

    def signed(self, user: str, *, namespaces: tuple[str, ...], life_s: int, key: str = MAKER) -> SignedToken:
        _, key_id, _ = key.split("_")
        ask = self.tokens.sign(user=user, namespaces=namespaces, life_s=life_s, key_id=key_id, key_hash=hash_key(key))
        return asyncio.run(ask)

    def principal(self, token: str) -> Principal:
        return asyncio.run(self.keyring.principal(token))

    def forge(self, signer: TokenKey = SECRET, /, **claims: Any) -> str:
        """A token with other claims, signed rightly. None: without that claim."""
        own = {
            "sub": "ann",
            "ns": ["f1-*"],
            "key": "maker",
            "proof": signer.proof_of(hash_key(MAKER)),
            "aud": DEPLOYMENT,
        }
        times = {"jti": "j", "iat": self.now_s, "exp": self.now_s + 60}
        fields = {name: value for name, value in (own | times | claims).items() if value is not None}
        return jwt.encode(fields, signer.sign, algorithm=signer.algorithm, headers={"kid": signer.kid})

    async def _call(self, call: Any) -> Any:
        self.lookups += 1
        return key_text(self.record) if self.record is not None and call[2] == self.record.id else None

    async def _deployment(self) -> str:
        return DEPLOYMENT


def ed25519_key(seed: bytes = b"e" * 32) -> TokenKey:
    private = Ed25519PrivateKey.from_private_bytes(seed)
    return TokenKey("ed", "EdDSA", private, private.public_key(), seed)
