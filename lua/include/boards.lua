-- Boards: sorted sets of one exact integer a user: the score, negated where the order is ascending, so that the better
-- one always stands higher.
--
-- Where there is a tie-break, a member is the user's name behind digits (include/tie_break): among equals the greater stand
-- higher. The hash of orders tells each user's digits. `since` holds the digits that a batch changes.
-- Where the ranking is `dense`, a second sorted set holds each score of the board once.
-- Where the aggregation is `latest`, a hash tells each user's time (include/grant_times).
-- Where bounded sums are kept, a hash holds its tree of sums (include/sum_tree).
-- The scores of those who are off it stand among their balances, as they are, one for each board (`h:…`); orders stay.
--
--- @include "include/board_totals"
--- @include "include/grant_times"
--- @include "include/replies"
--- @include "include/visibility"

local call = redis.call

-- The members under which users stand on a board; board.fault where its orders cannot be read.
local function read_members(board, users, names)
  local found, err = replies.try('HMGET', board.prefix_key, unpack(names))
  if not found then
    board.fault = board.prefix_key .. ': ' .. err
    return nil
  end
  local members = {}
  for i = 1, #users do
    members[i] = (found[i] or '') .. names[i]
    board.members[users[i].number], board.prefixes[users[i].number] = found[i] and members[i], found[i]
  end
  return members
end

-- What was found, where the keys beside a board are what they should be; or nil and the error.
local function check_beside(board, found)
  local _, wrong_scores, wrong_sums
  if board.scores_key then
    _, wrong_scores = replies.try('ZCARD', board.scores_key)
  end
  if board.sums then
    _, wrong_sums = replies.try('HLEN', board.sums.key)
  end
  local wrong = wrong_scores or wrong_sums
  return not wrong and found or nil, wrong
end

-- Fills a board's scores, by the number of the user, for a target's users; board.fault names a key that is no such board.
local function read(board, users, names)
  local members = names
  if board.prefix_key then
    members = read_members(board, users, names)
    if not members then
      return
    end
  end
  local found, err = replies.try('ZMSCORE', board.key, unpack(members))
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
      score = replies.integer(score)
      if not score then
        board.fault = board.key .. ': a score is not an integer'
        return
      end
      if board.namespace.ascending then
        score = 0 - score
      end
    end
    scores[users[i].number] = score
    if board.old_scores then
      board.old_scores[users[i].number] = score
    end
  end
end

-- The scores of users with a veil who do not stand on a board; user.fault names a key that holds something else.
local function read_hidden(board, users)
  for _, user in ipairs(users) do
    if user.visibility and not (user.fault or board.scores[user.number]) then
      local held = call('HGET', user.key, 'h:' .. board.name)
      local score = held and replies.integer(held)
      user.fault = held and not score and user.key .. ': a hidden score is not an integer' or user.fault
      board.scores[user.number] = score or false
    end
  end
end

-- Takes the members away whose digits changed: each comes back behind the new ones.
local function write_prefixes(board, users)
  local gone, prefixes, lost = {}, {}, {}
  for i = 1, #users do
    local number, name = users[i].number, users[i].name
    if board.new_prefixes[number] then
      gone[#gone + 1] = board.members[number] or nil
      board.members[number] = nil
      if board.scores[number] then
        local first = board.new_prefixes[number]
        prefixes[#prefixes + 1], prefixes[#prefixes + 2] = name, first
        board.members[number] = first .. name
      else
        lost[#lost + 1] = name
      end
    end
  end
  if gone[1] then
    call('ZREM', board.key, unpack(gone))
  end
  if prefixes[1] then
    call('HSET', board.prefix_key, unpack(prefixes))
  end
  if lost[1] then
    call('HDEL', board.prefix_key, unpack(lost))
  end
end

-- The scores that users came to are there; those that they left may stand there no longer.
local function write_scores(board, users)
  local ascending, args, left = board.namespace.ascending, {}, {}
  for i = 1, #users do
    local before, score = board.old_scores[users[i].number], visibility.is_visible(users[i]) and board.scores[users[i].number]
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
local function write_visibility(board, user, score, member)
  if score and user.visibility == 'back' then
    call('ZADD', board.key, board.namespace.ascending and 0 - score or score, member)
  else
    call('ZREM', board.key, member)
  end
  if score and user.visibility == 'hidden' then
    call('HSET', user.key, 'h:' .. board.name, score)
  else
    call('HDEL', user.key, 'h:' .. board.name)
  end
  if user.visibility == 'erasing' and board.prefix_key then
    call('HDEL', board.prefix_key, user.name)
  end
end

local function write(board, users)
  local scores, ascending, args, n, gone = board.scores, board.namespace.ascending, {}, 0, {}
  if board.prefix_key then
    write_prefixes(board, users)
  end
  for i = 1, #users do
    local user = users[i]
    local score = scores[user.number]
    local member = board.members and board.members[user.number] or user.name
    if user.visibility then
      write_visibility(board, user, score, member)
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
  if board.totals or board.sums then
    board_totals.add_changes(board, users)
  end
  if board.times then
    grant_times.write(board, users)
  end
end

return { read = read, read_hidden = read_hidden, write = write }
