"""Operations that change something: by the name that generated clients call them by."""

from .operation import BODY, COMMON, INSIDE, Operation

_GRANT_PROBLEMS = (
    *INSIDE,
    *BODY,
    *("grant_conflict", "namespace_frozen", "amount_scale", "amount_range", "score_overflow", "granted_at_range"),
    *("window_closed", "velocity", "quota_exceeded", "user_erasing"),
)
_CORRECTION_PROBLEMS = (
    *INSIDE,
    *("grant_not_found", "grant_conflict", "namespace_frozen", "revision_conflict", "user_erased", "score_overflow"),
    "user_erasing",
)
_EDIT_PROBLEMS = (*_CORRECTION_PROBLEMS, *BODY, "amount_scale", "amount_range", "granted_at_range")
_KEY_PROBLEMS = COMMON
_WEBHOOK_PROBLEMS = (*COMMON, "webhook_not_found")

WRITE_OPERATIONS: dict[str, Operation] = {
    "createGrants": Operation(
        "Grants",
        "Grant points",
        "One grant, an array of up to 1,000, or with `Content-Type: application/x-ndjson` a grant a line, up to "
        "10,000. Choose a `grant_id` that your own retry will choose again: the same grant counts once. A 2xx means "
        "that it is on disk. Of a batch each grant counts or is refused by itself.",
        _GRANT_PROBLEMS,
    ),
    "createGrantsAcrossNamespaces": Operation(
        "Grants",
        "Grant points in many namespaces",
        "The same with a `namespace` in each grant. With `atomic=true` all of them count or none does.",
        _GRANT_PROBLEMS,
    ),
    "editGrant": Operation(
        "Grants",
        "Edit a grant",
        "Changes its amount, time or labels. An absent field stays as it is; null removes a label.",
        _EDIT_PROBLEMS,
    ),
    "voidGrant": Operation(
        "Grants",
        "Void a grant",
        "It no longer counts, and stays in the ledger. It can be restored.",
        _CORRECTION_PROBLEMS,
    ),
    "restoreGrant": Operation(
        "Grants",
        "Restore a grant",
        "A voided grant counts again; one in quarantine begins to count, which needs `admin`.",
        (*_CORRECTION_PROBLEMS, *BODY),
        needs_body=False,
    ),
    "correctGrants": Operation(
        "Grants",
        "Correct many grants",
        "Up to 1,000 edits, voids and restores, with a result for each; those of one grant are done in their order.",
        (*_EDIT_PROBLEMS,),
    ),
    "putNamespace": Operation(
        "Namespaces",
        "Create or change a namespace",
        "Replaces all rules: a rule that is absent gets its default. What recorded scores mean is locked once the "
        "namespace holds grants.",
        (*INSIDE, *BODY, "rule_locked", "quota_exceeded"),
        needs_body=False,
    ),
    "deleteNamespace": Operation(
        "Namespaces",
        "Delete a namespace",
        "Deletes its boards. The ledger keeps its rows, and the name can be used again, from zero.",
        INSIDE,
    ),
    "putImportLease": Operation(
        "Namespaces",
        "Keep windows open during an import",
        "No window of the namespace is closed for a minute. Send it again to go on.",
        INSIDE,
    ),
    "deleteImportLease": Operation(
        "Namespaces", "Let windows be closed again", "Ends what `putImportLease` began.", INSIDE
    ),
    "putNamespaceProfile": Operation(
        "Users",
        "What a user is called in a namespace",
        "Name, picture and opt-out for the boards of this namespace alone. Where a name or picture is null, the one of "
        "the whole deployment is shown.",
        (*INSIDE, *BODY, "user_erasing"),
    ),
    "hideUserInNamespace": Operation(
        "Users",
        "Take a user off the boards of a namespace",
        "The score is kept, and the ranks close up. 202: it is recorded, and some boards follow.",
        (*INSIDE, "user_erasing"),
    ),
    "unhideUserInNamespace": Operation(
        "Users",
        "Show a user on the boards of a namespace again",
        "Unless the user opted out there, or is hidden in the whole deployment.",
        (*INSIDE, "user_erasing", "user_not_found"),
    ),
    "putUserProfile": Operation(
        "Users",
        "Replace a user's profile",
        "Name, picture, time zone and opt-out in the whole deployment. An absent field takes its default.",
        (*COMMON, *BODY, "user_erasing"),
    ),
    "eraseUser": Operation(
        "Users",
        "Erase a user",
        "Their name leaves every board, list and export; the ledger keeps entries without a name. 202: it goes on.",
        (*COMMON, "user_erasing", "user_not_found"),
    ),
    "hideUser": Operation(
        "Users",
        "Take a user off every board",
        "The scores are kept, and the ranks close up. 202: it is recorded, and some boards follow.",
        (*COMMON, "user_erasing"),
    ),
    "unhideUser": Operation(
        "Users",
        "Show a user on the boards again",
        "Unless the user opted out, or is hidden in a namespace.",
        (*COMMON, "user_erasing", "user_not_found"),
    ),
    "listWebhooks": Operation(
        "Webhooks", "Webhooks", "Those whose namespaces the key covers, without their secrets.", COMMON
    ),
    "getWebhook": Operation("Webhooks", "One webhook", "Its settings and its state.", _WEBHOOK_PROBLEMS),
    "putWebhook": Operation(
        "Webhooks",
        "Have events sent to a URL",
        "Creates or replaces a webhook. A new one has a `secret` in the answer, which is shown once.",
        (*COMMON, *BODY, "webhook_conflict", "not_configured", "quota_exceeded"),
    ),
    "deleteWebhook": Operation("Webhooks", "Delete a webhook", "Nothing more is sent.", _WEBHOOK_PROBLEMS),
    "listWebhookDeliveries": Operation(
        "Webhooks", "What was sent", "Messages and their state, the latest first.", _WEBHOOK_PROBLEMS
    ),
    "resendWebhookMessages": Operation(
        "Webhooks",
        "Send messages once more",
        "Some by their ids, or all that were given up.",
        (*_WEBHOOK_PROBLEMS, *BODY),
    ),
    "createToken": Operation(
        "Access",
        "A client token for a user",
        "A signed token for a browser or a phone. It reads and watches, of grants only its own user's. The key needs "
        "`read` and `write` on each namespace of the token.",
        (*COMMON, *BODY, "not_configured"),
    ),
    "listKeys": Operation(
        "Access", "API keys", "All in the order in which they were made, revoked ones too, without their secrets."
    ),
    "createKey": Operation(
        "Access",
        "Make an API key",
        "The key is in the answer, which is shown once. 202: it is recorded, and some servers learn of it later.",
        (*_KEY_PROBLEMS, *BODY, "quota_exceeded"),
    ),
    "revokeKey": Operation(
        "Access",
        "Revoke an API key",
        "For good. To revoke the key of the request itself, repeat its id in `confirm`.",
        (*_KEY_PROBLEMS, "key_not_found"),
    ),
    "rotateKey": Operation(
        "Access",
        "Give an API key a new secret",
        "The new one is in the answer, which is shown once. The old one is good for `grace_s` more seconds.",
        (*_KEY_PROBLEMS, *BODY, "key_not_found", "key_revoked"),
        needs_body=False,
    ),
}
