"""Arguments for the queries of webhooks, see `query_samples`."""

from typing import Any

from tests.support.known_ledger import GRANTS, SPACE

WEBHOOK_SAMPLES: dict[str, tuple[Any, ...]] = {
    "get_webhooks": (),
    "get_webhook": ("w5",),
    "lock_webhooks": (1,),
    "count_webhooks": ("k1",),
    "create_webhook": ("new", "k1", None, "{}", "s"),
    "update_webhook": ("w5", "k1", None, "{}", "s", True, 60.0),
    "delete_webhook": ("w5",),
    "get_webhook_deliveries": ("w5", "dead", 10**9, 100),
    "request_resend": ("w5", ["m1"]),
    "try_deliverer_lock": (1,),
    "get_webhooks_to_deliver": (),
    "get_webhook_rights": (5,),
    "stop_webhook": (5, "cause", False),
    "get_webhook_offsets": ([5, 6],),
    "put_webhook_offsets": ([5, 5], [0, 1], [1, 1], [10, 10]),
    "bound_webhook_locks": ("500",),
    "get_webhook_records": ([5, 6],),
    "get_webhook_top": (5,),
    "get_oldest_webhook_offsets": (),
    "get_newest_entries": (0, 1, GRANTS - 300, 100),
    "get_watched_namespaces": (["sum"],),
    "settle_webhook_message": (5, "ledger", "m1", "granted", "{}", "delivered", 204, None, 0, 1, 20, None, None),
    "get_webhook_retries": ([5, 6],),
    "put_webhook_retry": (5, "ledger", "m1", 1.0),
    "delete_webhook_retry": (5, "ledger"),
    "note_webhook_delivery": (5, "m1", "granted", "{}", "delivered", 204, None),
    "trim_webhook_deliveries": (5, 100),
    "get_webhook_resend": (5,),
    "find_webhook_audit": (["drift_began", "drift_ended"], "s%", 0, 100),
    "get_webhook_audit": (SPACE, 5),
    "get_webhook_namespace": (SPACE,),
    "get_webhook_user": (5, SPACE),
    "record_drift": (SPACE, "drift_began", "{}", 1),
    "lock_events": (1,),
    "find_webhook_entries": (0, 1, GRANTS - 300, ["grant"], "s%", 250, 100),
    "get_webhook_entry": (0, 1, 500),
}
