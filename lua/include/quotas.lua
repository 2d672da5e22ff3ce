-- Quotas of a namespace: users, boards, and entries in the log that the ledger lacks. Only grants are refused; corrections,
-- visibility entries, heals and seals pass, and are counted. A quota of 0 is no limit.
--
-- The namespace counts users who have balances, and boards that are in Redis (they have a version). It counts its log entries
-- as `<seq> <entries behind seq> <entries> <last seq>`, and only while the partition's log holds half a share or more. So at
-- most half a share, and one call, is not counted; a namespace is refused at half a share that is counted. It never holds
-- more than a share, and is never refused while it holds less than half of one. Entries leave the count once the ledger has
-- all up to `seq`.
--
--- @include "include/balances"
--- @include "include/fields"
--- @include "include/namespaces"
--- @include "include/replies"

local call, format, match, sub, integer = redis.call, string.format, string.match, string.sub, replies.integer
local SEQ = balances.SEQ

-- The quotas of a call. half_share: entries; false where log entries are not counted: the log is short, or the partition
-- has one namespace, which may fill the log.
local function new(head, rules_key, users, boards, share)
  local half = math.floor(tonumber(share) / 2)
  local is_long = half > 0 and head.seq - head.flushed_seq >= half
  return { users = tonumber(users), boards = tonumber(boards), head = head,
           half_share = is_long and call('HLEN', rules_key) > 1 and half }
end

-- Counts the boards of a namespace that has no count yet. O(fields), once.
local function count_boards(namespace)
  local count = 0
  for _, field in ipairs(call('HLEN', namespace.key) > 0 and call('HKEYS', namespace.key) or {}) do
    count = sub(field, 1, 2) == fields.BOARD_VERSION and count + 1 or count
  end
  return count
end

-- The log count of a namespace as of this call.
local function log_count_of(text, head)
  local seq, behind, count, last = match(text or '', '^(%d+) (%d+) (%d+) (%d+)$')
  local log = { seq = tonumber(seq), behind = tonumber(behind), count = tonumber(count), last = tonumber(last) }
  if not seq or head.flushed_seq >= log.last or log.last > head.seq then
    return { seq = head.seq, behind = 0, count = 0 }
  elseif head.flushed_seq >= log.seq then
    log.seq, log.count, log.behind = head.seq, log.behind, 0
  end
  return log
end

-- Fills namespace.user_count (false: not counted yet), namespace.board_count and namespace.log_count.
local function read_counts(namespace, quotas)
  if namespace.fault then
    return
  end
  local users, boards, log = unpack(namespace.quota_fields, 1, 3)
  namespace.user_count, namespace.board_count = integer(users, false), integer(boards, false)
  if namespace.user_count == nil or namespace.board_count == nil then
    namespace.fault = namespace.key .. ': a count is not an integer'
  elseif not namespace.board_count then
    namespace.board_count, namespace.has_new_counts = count_boards(namespace), true
  end
  namespace.new_boards, namespace.log_count = 0, quotas.half_share and log_count_of(log, quotas.head)
end

-- Reads which boards of a bundle exist, in namespaces that may lack room for all of them.
local function read_existing_boards(bundle)
  local room, is_near = bundle.quotas.boards - #bundle.boards, false
  for _, namespace in ipairs(bundle.namespaces) do
    namespace.is_near_quota = bundle.quotas.boards > 0 and not namespace.fault and namespace.board_count > room
    is_near = is_near or namespace.is_near_quota
  end
  for _, board in ipairs(is_near and bundle.boards or {}) do
    board.exists = board.namespace.is_near_quota and call('HGET', board.namespace.key, fields.BOARD_VERSION .. board.name)
  end
end

-- The number of users with balances. Before users were counted, it is taken from the board of all time.
local function users_in(namespace, board_set)
  namespace.user_count = namespace.user_count or call('ZCARD', board_set.boards[1].key)
  return namespace.user_count
end

-- 'log_share' where a grant's namespace holds its share of the log already; else nil.
local function check_log_share(entry, quotas)
  local log = entry.board_set.namespace.log_count
  if log and log.count >= quotas.half_share and entry.kind.is_grant then
    return 'log_share'
  end
  return nil
end

-- The code and the detail of a refusal where a grant's namespace has no room for its user or its boards; else nil.
local function check_growth(entry, quotas)
  local board_set, namespace = entry.board_set, entry.board_set.namespace
  if quotas.users > 0 and not entry.user.values[SEQ] and users_in(namespace, board_set) >= quotas.users then
    return 'too_many_users', format('%d (LEADERBOARD_NAMESPACE_USERS_MAX)', quotas.users)
  end
  if not namespace.is_near_quota then
    return nil
  end
  local new_boards = 0
  for _, board in ipairs(board_set.boards) do
    new_boards = new_boards + (board.window_state and 0 or board.exists and 0 or 1)
  end
  if new_boards > 0 and namespace.board_count + namespace.new_boards + new_boards > quotas.boards then
    return 'too_many_boards', format('%d (LEADERBOARD_NAMESPACE_BOARDS_MAX)', quotas.boards)
  end
  return nil
end

-- Counts the user of an applied entry, if it is their first.
local function count_user(entry)
  local namespace = entry.board_set.namespace
  if not entry.user.values[SEQ] then
    namespace.user_count, namespace.has_new_counts = users_in(namespace, entry.board_set) + 1, true
  end
end

-- Notes that a board gets a version, so that later entries of the bundle see it while room is short. is_first: its user had no
-- score there; only then the board may be new, and writing its version counts it.
local function count_board(board, is_first)
  local namespace = board.namespace
  board.may_be_new = board.may_be_new or is_first
  if namespace.is_near_quota and not board.exists and board.window_state ~= 'a' then
    board.exists, namespace.new_boards = true, namespace.new_boards + 1
  end
end

-- Counts an entry that the log takes.
local function count_log_entry(entry)
  local log = entry.board_set.namespace.log_count
  if log then
    log.count, log.behind, log.last = log.count + 1, log.behind + 1, entry.seq
  end
end

-- Sets the counts that have changed. added: boards that got their first version in this call.
local function write_counts(namespace, added)
  if added > 0 or namespace.has_new_counts then
    namespaces.set(namespace, fields.BOARD_COUNT, namespace.board_count + added)
    if namespace.user_count then
      namespaces.set(namespace, fields.USER_COUNT, namespace.user_count)
    end
  end
  local log = namespace.log_count
  if log and log.last then
    namespaces.set(namespace, fields.LOG_COUNT, format('%d %d %d %d', log.seq, log.behind, log.count, log.last))
  end
end

return { new = new, read_counts = read_counts, read_existing_boards = read_existing_boards,
         check_log_share = check_log_share, check_growth = check_growth, count_user = count_user,
         count_board = count_board, count_log_entry = count_log_entry, write_counts = write_counts }
