-- Names of the hash fields that scripts read and write. app/store/fields.py has the same names; a test compares them.
-- The server puts them into the scripts as texts when it joins these.
-- A name that ends in ':' is the beginning of a field: what follows is the name of a board, a window or a label.

return {
  -- A partition's meta.
  EPOCH = 'epoch', SEQ = 'seq', CLOCK = 'clock', FLUSHED = 'flushed', GENERATIONS = 'generations',
  NEWEST_BEGAN = 'newest_began', COMPLETE_SINCE = 'complete_since:', BEGINS_AFTER = 'begins_after:', FORMAT = 'format',
  HAS_HIDDEN = 'has_hidden', CLEARED_VERSION = 'cleared_version', CHECKED = 'checked', CLOSED = 'closed',
  PROGRESS = 'progress', EPOCH_BEGINS_AFTER = 'epoch_begins_after', STATE_VERSION = 'state_version', RECOVERED = 'recovered',
  REBUILT = 'rebuilt',

  -- A namespace.
  BOARD_VERSION = 'v:', BOARD_TOTALS = 't:', WINDOW_STATE = 'x:', CATEGORY_COUNT = '#categories',
  SOURCE_COUNT = '#sources', HIDDEN_MARK = '#has_hidden', USER_COUNT = '#users', BOARD_COUNT = '#boards',
  LOG_COUNT = '#log',

  -- A user's balances; SEQ is the seq of their last change. These names are short: there are millions of them.
  TOTAL = 'total', COUNT = 'count', LAST = 'last', CHANGED_AT = 'at', CORRECTED = 'corrected', CATEGORY = 'c:',
  SOURCE = 's:', HIDDEN_SCORE = 'h:', VELOCITY = 'r:', TIME = 'g',

  -- A board's sum tree.
  BROKEN = 'broken',
}
