"""Answers about keys, tokens, webhooks, imports and health, by the names that they have in OpenAPI."""

from ..webhooks.handlers import STATES
from .schema import BOOLEAN, INTEGER, MOMENT, TEXT, Schema, list_of, maybe, object_of, ref, said

_MAYBE_TEXT, _MAYBE_INTEGER, _MAYBE_MOMENT = maybe(TEXT), maybe(INTEGER), maybe(MOMENT)
_CURSOR = said(_MAYBE_TEXT, "The `cursor` of the next page; null at the end.")
_API_KEY: dict[str, Schema] = {
    "id": TEXT,
    "name": _MAYBE_TEXT,
    "scopes": list_of(TEXT),
    "created_at": MOMENT,
    "created_by": _MAYBE_TEXT,
    "rotated_at": _MAYBE_MOMENT,
    "rotated_by": _MAYBE_TEXT,
    "previous_secret_until": _MAYBE_MOMENT,
    "revoked_at": _MAYBE_MOMENT,
    "revoked_by": _MAYBE_TEXT,
    "is_own": said(BOOLEAN, "Whether the request came with this key."),
}
WEBHOOK_STATE: dict[str, Schema] = {
    "state": {"type": "string", "enum": ["active", "stopped"]},
    "stop_reason": _MAYBE_TEXT,
    "key_id": said(TEXT, "The key by whose rights it is told."),
    "previous_secret_until": _MAYBE_MOMENT,
    **dict.fromkeys(("created_at", "updated_at"), MOMENT),
}
_DELIVERY = object_of(
    "A message, and how its delivery went.",
    {
        "message_id": TEXT,
        "type": TEXT,
        "state": {"type": "string", "enum": [*STATES]},
        "attempts": INTEGER,
        **dict.fromkeys(("first_attempt_at", "last_attempt_at", "next_attempt_at"), _MAYBE_MOMENT),
        "status": said(_MAYBE_INTEGER, "What the receiver answered last."),
        "error": _MAYBE_TEXT,
    },
)

ADMIN_ANSWERS: dict[str, Schema] = {
    "ImportLease": object_of(
        "Until when windows stay open.",
        {"id": TEXT, "namespace": TEXT, "until": MOMENT, "namespace_instance": TEXT},
    ),
    "Delivery": _DELIVERY,
    "DeliveryList": object_of(
        "Deliveries, the latest first.", {"deliveries": list_of(ref("Delivery")), "next_cursor": _CURSOR}
    ),
    "WebhookList": object_of("Webhooks.", {"webhooks": list_of(ref("Webhook"))}),
    "MessageIds": object_of("Messages that are sent once more.", {"message_ids": list_of(TEXT)}),
    "ClientToken": object_of(
        "A client token, which is stored nowhere.",
        {"token": TEXT, "token_id": TEXT, "user_id": TEXT, "namespaces": list_of(TEXT), "expires_at": MOMENT},
    ),
    "ApiKey": object_of("An API key, without its secret.", _API_KEY),
    "IssuedApiKey": object_of(
        "An API key with its secret.",
        {"key": said(TEXT, "What its holder sends. It is shown once."), **_API_KEY},
    ),
    "BootstrapKey": object_of(
        "LEADERBOARD_API_KEY of this server, a setting.", {"id": TEXT, "scopes": list_of(TEXT), "is_own": BOOLEAN}
    ),
    "ApiKeyList": object_of(
        "API keys, in the order in which they were made.",
        {
            "keys": list_of(ref("ApiKey")),
            "bootstrap_key": said(maybe(ref("BootstrapKey")), "Null where that setting is not made."),
            "next_cursor": _CURSOR,
        },
    ),
    "Alive": object_of("The process is up.", {"status": {"type": "string", "enum": ["ok"]}}),
    "Readiness": object_of(
        "Whether writes are taken, and what is amiss.",
        {
            "status": {"type": "string", "enum": ["ready", "unavailable"]},
            "degraded": said(list_of(TEXT), "What does not work, for people to read."),
            "lag_seq": said(_MAYBE_INTEGER, "Entries that the ledger lacks yet; null: not known."),
            "capacity": said(list_of(TEXT), "What there is room for."),
            "nodes": said(list_of(TEXT), "The nodes of Redis."),
        },
    ),
}
