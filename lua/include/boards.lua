-- Boards: sorted sets of one exact integer a user: the score, negated where the order is ascending, so that the better
-- one always stands higher.
--
-- Where there is a tie-break, a member is the user's name behind digits (include/ties): among equals the greater stand
-- higher. The hash of orders tells each user's digits. `since` holds the digits that a batch changes.
-- Where the ranking is `dense`, a second sorted set holds each score of the board once.
-- Where the aggregation is `latest`, a hash tells each user's time (include/times).
-- Where bounded sums are kept, a hash holds its tree of sums (include/nodes).
-- The scores of those who are off it stand among their balances, as they are, one for each board (`h:…`); orders stay.

-- The members under which users stand on a board; board.fault where its orders cannot be read.
local function read_members(board, users, names)
  local found, err = try('HMGET', board.order_key, unpack(names))
  if not found then
    board.fault = board.order_key .. ': ' .. err
    return nil
  end
  local members = {}
  for i = 1, #users do
    members[i] = (found[i] or '') .. names[i]
    board.members[users[i].number], board.digits[users[i].number] = found[i] and members[i], found[i]
  end
  return members
end

-- What was found, where the keys beside a board are what they should be; or nil and the error.
local function check_beside(board, found)
  local _, wrong_scores, wrong_sums
  if board.scores_key then
    _, wrong_scores = try('ZCARD', board.scores_key)
  end
  if board.sums then
    _, wrong_sums = try('HLEN', board.sums.key)
  end
  local wrong = wrong_scores or wrong_sums
  return not wrong and found or nil, wrong
end

-- Fills a board's scores, by the number of the user, for a target's users; board.fault names a key that is no such board.
local function read_board(board, users, names)
  local members = names
  if board.order_key then
    members = read_members(board, users, names)
    if not members then
      return
    end
  end
  local found, err = try('ZMSCORE', board.key, unpack(members))
  if found then
    found, err = check_beside(board, found)
  end
  if not found then
    board.fault = board.key .. ': ' .. err
    return
  end
  local scores = board.scores
  for i = 1, #users do
    local score = found[i]
    if score then
      score = integer(score)
      if not score then
        board.fault = board.key .. ': a score is not an integer'
        return
      end
      if board.space.ascending then
        score = 0 - score
      end
    end
    scores[users[i].number] = score
    if board.was then
      board.was[users[i].number] = score
    end
  end
end

-- The scores of users with a veil who do not stand on a board; user.fault names a key that holds something else.
local function read_hidden(board, users)
  for _, user in ipairs(users) do
    if user.veil and not (user.fault or board.scores[user.number]) then
      local held = call('HGET', user.key, 'h:' .. board.window)
      local score = held and integer(held)
      user.fault = held and not score and user.key .. ': a hidden score is not an integer' or user.fault
      board.scores[user.number] = score or false
    end
  end
end

-- Takes the members away whose digits changed: each comes back behind the new ones.
local function write_orders(board, users)
  local gone, orders, lost = {}, {}, {}
  for i = 1, #users do
    local number, name = users[i].number, users[i].name
    if board.since[number] then
      gone[#gone + 1] = board.members[number] or nil
      board.members[number] = nil
      if board.scores[number] then
        local first = board.since[number]
        orders[#orders + 1], orders[#orders + 2] = name, first
        board.members[number] = first .. name
      else
        lost[#lost + 1] = name
      end
    end
  end
  if gone[1] then
    call('ZREM', board.key, unpack(gone))
  end
  if orders[1] then
    call('HSET', board.order_key, unpack(orders))
  end
  if lost[1] then
    call('HDEL', board.order_key, unpack(lost))
  end
end

-- The scores that users came to are there; those that they left may stand there no longer.
local function write_scores(board, users)
  local ascending, args, left = board.space.ascending, {}, {}
  for i = 1, #users do
    local before, score = board.was[users[i].number], is_shown(users[i]) and board.scores[users[i].number]
    if score then
      local key = ascending and 0 - score or score
      args[#args + 1], args[#args + 2] = key, key
    end
    if before and before ~= score then
      left[ascending and 0 - before or before] = true
    end
  end
  if args[1] then
    call('ZADD', board.scores_key, unpack(args))
  end
  for key in pairs(left) do
    if call('ZCOUNT', board.key, key, key) == 0 then
      call('ZREM', board.scores_key, key)
    end
  end
end

-- The score of a user with a veil stands in one of two places, or in none.
local function write_veiled(board, user, score, member)
  if score and user.veil == 'back' then
    call('ZADD', board.key, board.space.ascending and 0 - score or score, member)
  else
    call('ZREM', board.key, member)
  end
  if score and user.veil == 'hidden' then
    call('HSET', user.key, 'h:' .. board.window, score)
  else
    call('HDEL', user.key, 'h:' .. board.window)
  end
  if user.veil == 'erasing' and board.order_key then
    call('HDEL', board.order_key, user.name)
  end
end

local function write_board(board, users)
  local scores, ascending, args, n, gone = board.scores, board.space.ascending, {}, 0, {}
  if board.order_key then
    write_orders(board, users)
  end
  for i = 1, #users do
    local user = users[i]
    local score = scores[user.number]
    local member = board.members and board.members[user.number] or user.name
    if user.veil then
      write_veiled(board, user, score, member)
    elseif score then
      args[n + 1], args[n + 2], n = ascending and 0 - score or score, member, n + 2
    elseif not board.members then
      gone[#gone + 1] = user.name
    end
  end
  if n > 0 then
    call('ZADD', board.key, unpack(args))
  end
  if gone[1] then
    call('ZREM', board.key, unpack(gone))
  end
  if board.scores_key then
    write_scores(board, users)
  end
  if board.tally or board.sums then
    tally_board(board, users)
  end
  if board.times then
    write_times(board, users)
  end
end
