-- Quotas of a namespace: users, open boards, and what it may hold of the entries that wait for the ledger. Only grants are
-- refused by them; corrections, hides, heals and seals pass, and are counted. A bound of 0 is none.
--
-- In the namespace's hash, `#u` counts users with balances and `#b` boards that stand in Redis (those with a `v:…`).
-- `#l` counts entries that may wait: `<seq> <entries behind it> <entries> <last seq>`. It is kept only while half a share or
-- more waits in the partition, so half a share (and one call) at most is not in it, and it is full at half a share: a
-- namespace holds a share at most, and is not refused while less than half of one waits. What is flushed leaves it once all
-- up to `seq` is.
--
--- @include "include/namespaces"
--- @include "include/replies"

local call, format, match, sub = redis.call, string.format, string.match, string.sub

-- What a call says of quotas. half_share: entries, or false where nothing is counted now: little waits, or the partition
-- has one namespace, which may take all of the log.
local function new(head, rules_key, users, boards, share)
  local half = math.floor(tonumber(share) / 2)
  local counts = half > 0 and head.seq - head.flushed_seq >= half
  return { users = tonumber(users), boards = tonumber(boards), head = head,
           half_share = counts and call('HLEN', rules_key) > 1 and half }
end

-- Of a new namespace, and of one from before boards were counted: O(fields), once.
local function count_boards(namespace)
  local count = 0
  for _, field in ipairs(call('HLEN', namespace.key) > 0 and call('HKEYS', namespace.key) or {}) do
    count = sub(field, 1, 2) == 'v:' and count + 1 or count
  end
  return count
end

-- What `#l` says as of this call.
local function waiting_of(held, head)
  local seq, behind, count, last = match(held or '', '^(%d+) (%d+) (%d+) (%d+)$')
  local waiting = { seq = tonumber(seq), behind = tonumber(behind), count = tonumber(count), last = tonumber(last) }
  if not seq or head.flushed_seq >= waiting.last or waiting.last > head.seq then
    return { seq = head.seq, behind = 0, count = 0 }
  elseif head.flushed_seq >= waiting.seq then
    waiting.seq, waiting.count, waiting.behind = head.seq, waiting.behind, 0
  end
  return waiting
end

-- Fills space.users (false: they are not counted yet), space.open and space.waiting.
local function read_counts(namespace, quotas)
  if namespace.fault then
    return
  end
  local users, open, waiting = unpack(namespace.counts, 1, 3)
  namespace.user_count, namespace.open_boards = replies.integer(users, false), replies.integer(open, false)
  if namespace.user_count == nil or namespace.open_boards == nil then
    namespace.fault = namespace.key .. ': a count is not an integer'
  elseif not namespace.open_boards then
    namespace.open_boards, namespace.counts_changed = count_boards(namespace), true
  end
  namespace.new_boards, namespace.waiting = 0, quotas.half_share and waiting_of(waiting, quotas.head)
end

-- Where a namespace may lack room for boards of this batch, which of them stand in Redis already.
local function read_existing_boards(batch)
  local room, is_near_limit = batch.quotas.boards - #batch.boards, false
  for _, namespace in ipairs(batch.namespaces) do
    namespace.is_near_limit = batch.quotas.boards > 0 and not namespace.fault and namespace.open_boards > room
    is_near_limit = is_near_limit or namespace.is_near_limit
  end
  for _, board in ipairs(is_near_limit and batch.boards or {}) do
    board.exists = board.namespace.is_near_limit and call('HGET', board.namespace.key, 'v:' .. board.name)
  end
end

-- How many users have balances. Of those before they were counted, who stands on the board of all time.
local function users_in(namespace, board_set)
  namespace.user_count = namespace.user_count or call('ZCARD', board_set.boards[1].key)
  return namespace.user_count
end

-- Whether a grant may add to the log: 'log_share' where its namespace holds its share of it.
local function check_log_share(entry, quotas)
  local waiting = entry.board_set.namespace.waiting
  if waiting and waiting.count >= quotas.half_share and (entry.ops == '' or entry.ops == 'b') then
    return 'log_share'
  end
  return nil
end

-- The code of a refusal of a grant, and a detail; nil where there is room for its user and its boards.
local function check_growth(entry, quotas)
  local board_set, namespace = entry.board_set, entry.board_set.namespace
  if quotas.users > 0 and not entry.user.values[4] and users_in(namespace, board_set) >= quotas.users then
    return 'too_many_users', format('%d (LEADERBOARD_NAMESPACE_USERS_MAX)', quotas.users)
  end
  if not namespace.is_near_limit then
    return nil
  end
  local fresh = 0
  for _, board in ipairs(board_set.boards) do
    fresh = fresh + (board.closed and 0 or board.exists and 0 or 1)
  end
  if fresh > 0 and namespace.open_boards + namespace.new_boards + fresh > quotas.boards then
    return 'too_many_boards', format('%d (LEADERBOARD_NAMESPACE_BOARDS_MAX)', quotas.boards)
  end
  return nil
end

-- An applied entry's user has balances from here on.
local function count_user(entry)
  local namespace = entry.board_set.namespace
  if not entry.user.values[4] then
    namespace.user_count, namespace.counts_changed = users_in(namespace, entry.board_set) + 1, true
  end
end

-- A board that gets its first version: told while room is short, for the entries behind. first: whether its user had no
-- score there; only such a board may be a new one, which its write then tells.
local function count_board(board, first)
  local namespace = board.namespace
  board.may_be_new = board.may_be_new or first
  if namespace.is_near_limit and not board.exists and board.closed ~= 'a' then
    board.exists, namespace.new_boards = true, namespace.new_boards + 1
  end
end

-- One more entry of its namespace in the log.
local function count_log_entry(entry)
  local waiting = entry.board_set.namespace.waiting
  if waiting then
    waiting.count, waiting.behind, waiting.last = waiting.count + 1, waiting.behind + 1, entry.seq
  end
end

-- What was counted, among the namespace's changed fields. added: boards that got their first version in this call.
local function write_counts(namespace, added)
  if added > 0 or namespace.counts_changed then
    namespaces.set(namespace, '#b', namespace.open_boards + added)
    if namespace.user_count then
      namespaces.set(namespace, '#u', namespace.user_count)
    end
  end
  local waiting = namespace.waiting
  if waiting and waiting.last then
    namespaces.set(namespace, '#l', format('%d %d %d %d', waiting.seq, waiting.behind, waiting.count, waiting.last))
  end
end

return { new = new, read_counts = read_counts, read_existing_boards = read_existing_boards, check_log_share = check_log_share, check_growth = check_growth, count_user = count_user, count_board = count_board, count_log_entry = count_log_entry, write_counts = write_counts }
