-- Quotas of a namespace: users, open boards, and what it may hold of the entries that wait for the ledger. Only grants are
-- refused by them; corrections, hides, heals and seals pass, and are counted. A bound of 0 is none.
--
-- In the namespace's hash, `#u` counts users with balances and `#b` boards that stand in Redis (those with a `v:…`).
-- `#l` counts entries that may wait: `<seq> <entries behind it> <entries> <last seq>`. It is kept only while half a share or
-- more waits in the partition, so half a share (and one call) at most is not in it, and it is full at half a share: a
-- namespace holds a share at most, and is not refused while less than half of one waits. What is flushed leaves it once all
-- up to `seq` is.

-- What a call says of quotas. half_share: entries, or false where nothing is counted now: little waits, or the partition
-- has one namespace, which may take all of the log.
local function quotas_of(head, rules_key, users, boards, share)
  local half = math.floor(tonumber(share) / 2)
  local counts = half > 0 and head.seq - head.flushed_seq >= half
  return { users = tonumber(users), boards = tonumber(boards), head = head,
           half_share = counts and call('HLEN', rules_key) > 1 and half }
end

-- Of a new namespace, and of one from before boards were counted: O(fields), once.
local function count_boards(space)
  local count = 0
  for _, field in ipairs(call('HLEN', space.key) > 0 and call('HKEYS', space.key) or {}) do
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
local function read_counts(space, quotas)
  if space.fault then
    return
  end
  local users, open, waiting = unpack(space.counts, 1, 3)
  space.users, space.open = integer(users, false), integer(open, false)
  if space.users == nil or space.open == nil then
    space.fault = space.key .. ': a count is not an integer'
  elseif not space.open then
    space.open, space.grown = count_boards(space), true
  end
  space.fresh, space.waiting = 0, quotas.half_share and waiting_of(waiting, quotas.head)
end

-- Where a namespace may lack room for boards of this batch, which of them stand in Redis already.
local function read_standing(batch)
  local room, is_near = batch.quotas.boards - #batch.boards, false
  for _, space in ipairs(batch.spaces) do
    space.is_near = batch.quotas.boards > 0 and not space.fault and space.open > room
    is_near = is_near or space.is_near
  end
  for _, board in ipairs(is_near and batch.boards or {}) do
    board.stands = board.space.is_near and call('HGET', board.space.key, 'v:' .. board.window)
  end
end

-- How many users have balances. Of those before they were counted, who stands on the board of all time.
local function users_in(space, target)
  space.users = space.users or call('ZCARD', target.boards[1].key)
  return space.users
end

-- Whether a grant may add to the log: 'log_share' where its namespace holds its share of it.
local function refuse_share(entry, quotas)
  local waiting = entry.target.space.waiting
  if waiting and waiting.count >= quotas.half_share and (entry.moves == '' or entry.moves == 'b') then
    return 'log_share'
  end
  return nil
end

-- The code of a refusal of a grant, and a detail; nil where there is room for its user and its boards.
local function refuse_growth(entry, quotas)
  local target, space = entry.target, entry.target.space
  if quotas.users > 0 and not entry.user.held[4] and users_in(space, target) >= quotas.users then
    return 'too_many_users', format('%d (LEADERBOARD_NAMESPACE_USERS_MAX)', quotas.users)
  end
  if not space.is_near then
    return nil
  end
  local fresh = 0
  for _, board in ipairs(target.boards) do
    fresh = fresh + (board.closed and 0 or board.stands and 0 or 1)
  end
  if fresh > 0 and space.open + space.fresh + fresh > quotas.boards then
    return 'too_many_boards', format('%d (LEADERBOARD_NAMESPACE_BOARDS_MAX)', quotas.boards)
  end
  return nil
end

-- An applied entry's user has balances from here on.
local function count_user(entry)
  local space = entry.target.space
  if not entry.user.held[4] then
    space.users, space.grown = users_in(space, entry.target) + 1, true
  end
end

-- A board that gets its first version: told while room is short, for the entries behind. first: whether its user had no
-- score there; only such a board may be a new one, which its write then tells.
local function count_board(board, first)
  local space = board.space
  board.grew = board.grew or first
  if space.is_near and not board.stands and board.closed ~= 'a' then
    board.stands, space.fresh = true, space.fresh + 1
  end
end

-- One more entry of its namespace in the log.
local function count_waiting(entry)
  local waiting = entry.target.space.waiting
  if waiting then
    waiting.count, waiting.behind, waiting.last = waiting.count + 1, waiting.behind + 1, entry.seq
  end
end

-- What was counted, among the namespace's changed fields. added: boards that got their first version in this call.
local function write_counts(space, added)
  if added > 0 or space.grown then
    set(space, '#b', space.open + added)
    if space.users then
      set(space, '#u', space.users)
    end
  end
  local waiting = space.waiting
  if waiting and waiting.last then
    set(space, '#l', format('%d %d %d %d', waiting.seq, waiting.behind, waiting.count, waiting.last))
  end
end
