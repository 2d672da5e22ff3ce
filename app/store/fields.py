"""Names of the fields of Redis' hashes. `lua/include/fields.lua` names those that scripts use; a test compares the two.

A name that ends in ':' is the beginning of a field: what follows is the name of a board, a window or a label.
"""

from ..model import labels

# A partition's meta: keys.meta.
EPOCH = "epoch"
SEQ = "seq"
CLOCK = "clock"  # time of the latest entry (µs); it never goes back
FLUSHED = "flushed"  # `<epoch>-<seq>` up to which the ledger has all entries
GENERATIONS = "generations"  # dedup generations, the newest first
NEWEST_BEGAN = "newest_began"  # when the newest generation began (µs)
COMPLETE_SINCE = "complete_since:"  # … a generation: it has every id since then (µs); 0: since the beginning
BEGINS_AFTER = "begins_after:"  # … a generation: seq before its first entry
HAS_HIDDEN = "has_hidden"  # exists while some user of the deployment has a state
CLEARED_VERSION = "cleared_version"  # latest version of a user's state that was removed
PROGRESS = "progress"  # of a rebuild, while it goes on: the numbers of app/recover/progress.py
ASIDES = "asides"  # epochs before which a log was set aside, with spaces between: keys.log_aside
CHECKED = "checked"  # which Redis was compared with the ledger: `RedisConnection.server_id`; of the deployment, too
CLOSED = "closed"  # why the partition takes and shows nothing; it has no epoch while it is rebuilt
EPOCH_BEGINS_AFTER = "epoch_begins_after"  # seq before the epoch's first entry
RECOVERED = "recovered"  # the epoch that a recovery began: what was lost before it is settled
REBUILT = "rebuilt"  # seq of the entry with which the log goes on behind a rebuild
STATE_VERSION = "state_version"  # `<version> <token>` up to which the state is here; of the deployment, too
CHANGES = "changes"  # number of the latest change of a namespace or an API key that was announced here
PROFILES = "profiles"  # the same of a profile; keys.changes has `<field>:<n>`, what the latest ones were

# The deployment: keys.DEPLOYMENT.
ID = "id"
PARTITIONS = "partitions"
KEY_PROOF = "key_proof"  # of the digest key: app/access/digest_key.py
FORMAT = "format"  # of a partition's meta, too
STATE_RECORDED = "state_recorded"  # `<version> <token>` of the latest change in Postgres, published or not

# A namespace: keys.namespace.
BOARD_VERSION = "v:"
BOARD_TOTALS = "t:"  # `<sum> <sum of squares>` of a board's scores
WINDOW_STATE = "x:"  # `s`: sealed; `a <version>`: archived
CATEGORY_COUNT = "#categories"
SOURCE_COUNT = "#sources"
HIDDEN_MARK = "#has_hidden"  # exists while some user of the namespace has a state
USER_COUNT = "#users"  # users with balances
BOARD_COUNT = "#boards"  # boards with a version
LOG_COUNT = "#log"  # entries that the ledger lacks: `<seq> <entries behind it> <entries> <last seq>`

# A user's balances: keys.balances. These names are short: there are millions of them. `SEQ` is that of the last change.
TOTAL = "total"
COUNT = "count"
LAST = "last"  # latest granted_at (µs)
CHANGED_AT = "at"  # when the score on the `all` board changed last (µs)
CORRECTED = "corrected"  # seq of the last change that was no grant
CATEGORY = labels.CATEGORY  # of a namespace, too: the categories there are
SOURCE = labels.SOURCE
HIDDEN_SCORE = "h:"  # score on a board, of a hidden user
VELOCITY = "r:"  # `<µs>:<kind>`: grants and amounts in a stretch of time
TIME = "g"  # before a label's field: granted_at (µs) of the grant that its balance is

# A board's sum tree: keys.sum_tree. Other fields are numbers of nodes.
BROKEN = "broken"  # exists if a node had no valid sum
