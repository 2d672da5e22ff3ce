"""What Prometheus reads at /metrics."""

from prometheus_client import Counter, Gauge, Histogram

GRANTS = Counter("leaderboard_grants_total", "Grants answered, by outcome", ["outcome"])
CALL_ENTRIES = Histogram(
    "leaderboard_commit_call_entries", "Entries in one script call", buckets=(1, 2, 4, 8, 16, 32, 64, 128, 256, 512)
)
COMMIT_SECONDS = Histogram("leaderboard_commit_seconds", "One round: pipeline, script, fsync")
ACK_SECONDS = Histogram(
    "leaderboard_ack_seconds",
    "From a request's commit to the acknowledgement that it asked for",
    ["level"],
)
ACKS_MISSED = Counter(
    "leaderboard_acks_missed_total", "Entries that counted and were not acknowledged in time", ["level"]
)
CLOCK_OFFSET_SECONDS = Gauge(
    "leaderboard_clock_offset_seconds", "How far this server's own clock is ahead of that of Redis"
)
LIVE_CONNECTIONS = Gauge("leaderboard_live_connections", "Open WebSockets and event streams")
LIVE_FRAMES = Counter("leaderboard_live_frames_total", "Frames handed to live clients")
REDIS_MEMORY = Gauge("leaderboard_redis_memory_bytes", "Memory that a node of Redis uses", ["node"])
REDIS_MEMORY_MAX = Gauge("leaderboard_redis_maxmemory_bytes", "Its maxmemory; 0: none", ["node"])
LOG_ENTRIES = Gauge("leaderboard_log_entries", "Entries of the log in Redis", ["partition"])
LOG_BYTES = Gauge("leaderboard_log_bytes", "Bytes of the log in Redis", ["partition"])
LOG_LAG = Gauge(
    "leaderboard_log_lag_entries", "Entries of the log that the ledger lacks, as Redis knows", ["partition"]
)
LOG_LAG_MAX = Gauge("leaderboard_log_lag_entries_max", "How many it may lack before grants are refused", ["partition"])
LOG_RATE = Gauge(
    "leaderboard_log_entries_per_second", "Entries that came into the log, of the last minute", ["partition"]
)
LOG_LASTS = Gauge("leaderboard_log_lasts_seconds", "How long the log lasts without Postgres at the present rate")
DEDUP_IDS = Gauge("leaderboard_dedup_ids", "Grant ids that Redis remembers", ["partition"])
DEDUP_BYTES = Gauge("leaderboard_dedup_bytes", "Bytes of the grant ids that Redis remembers", ["partition"])
DEDUP_LASTS = Gauge("leaderboard_dedup_lasts_seconds", "How long grant ids are remembered at the present rate")
PERSISTED_ROWS = Counter("leaderboard_persisted_rows_total", "Entries written to the ledger")
PERSIST_LAG = Gauge("leaderboard_persist_lag_entries", "Entries in the log that the ledger lacks", ["partition"])
DUPLICATES_HEALED = Counter("leaderboard_ledger_duplicates_total", "Entries the ledger knew already, taken back")
SEALS_DIFFERING = Gauge(
    "leaderboard_seals_differing", "Sealed windows whose board in Redis is not what the ledger says"
)
DRIFTING = Gauge("leaderboard_drifting_namespaces", "Namespaces whose `all` board in Redis is not what the ledger says")
DRIFT_CHECKS = Counter("leaderboard_drift_checks_total", "Boards compared with the ledger in the background")
POISON = Counter("leaderboard_poison_entries_total", "Entries set aside because they could not be recorded")
FLUSHES_REFUSED = Counter(
    "leaderboard_flushes_refused_total", "Times that Redis refused to note how far the ledger is, for each partition"
)
FAULTS = Gauge(
    "leaderboard_faults", "Work of the persister that fails and is tried again", ["kind", "partition", "cause"]
)
CLOCK_SKEW = Gauge("leaderboard_clock_skew_seconds", "How far a store's clock is ahead of this persister's", ["store"])
WEBHOOK_ATTEMPTS = Counter(
    "leaderboard_webhook_attempts_total", "Attempts to deliver to webhooks, and messages given up", ["outcome"]
)
WEBHOOK_SECONDS = Histogram("leaderboard_webhook_attempt_seconds", "One attempt, from the look-up to the answer")
WEBHOOKS_STOPPED = Gauge("leaderboard_webhooks_stopped", "Webhooks to which nothing is delivered")
