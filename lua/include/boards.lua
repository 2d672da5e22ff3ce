-- Boards: sorted sets with one exact integer a user. It is the score, negated where the order is ascending, so that the
-- better score is always the higher one. Beside a board stand, where the namespace's rules ask for them:
--   prefixes         hash, user -> the digits in front of the name (include/tie_break)
--   distinct scores  sorted set of each score of the board once, for dense ranks
--   grant times      hash, user -> time (include/grant_times)
--   sum tree         hash (include/sum_tree)
-- The scores of hidden users stand among their balances instead; their prefixes and times stay.
--
--- @include "include/board_totals"
--- @include "include/fields"
--- @include "include/grant_times"
--- @include "include/replies"
--- @include "include/visibility"

local call, try, integer, is_visible = redis.call, replies.try, replies.integer, visibility.is_visible

-- The members under which users are on a board; nil and board.fault where the prefixes cannot be read.
local function read_members(board, users, names)
  local prefixes, err = try('HMGET', board.prefix_key, unpack(names))
  if not prefixes then
    board.fault = board.prefix_key .. ': ' .. err
    return nil
  end
  local members = {}
  for i = 1, #users do
    local prefix, number = prefixes[i], users[i].number
    members[i] = (prefix or '') .. names[i]
    board.members[number], board.prefixes[number] = prefix and members[i], prefix
  end
  return members
end

-- nil, or the error of a key beside the board that has another type.
local function check_other_keys(board)
  local _, scores_error, tree_error
  if board.scores_key then
    _, scores_error = try('ZCARD', board.scores_key)
  end
  if board.sum_tree then
    _, tree_error = try('HLEN', board.sum_tree.key)
  end
  return scores_error or tree_error
end

-- Fills board.scores of users by their numbers. board.fault says what could not be read.
local function read(board, users, names)
  local members = names
  if board.prefix_key then
    members = read_members(board, users, names)
    if not members then
      return
    end
  end
  local values, err = try('ZMSCORE', board.key, unpack(members))
  if board.scores_key or board.sum_tree then
    err = err or check_other_keys(board)
  end
  if err then
    board.fault = board.key .. ': ' .. err
    return
  end
  local scores, old_scores, ascending = board.scores, board.old_scores, board.namespace.ascending
  for i = 1, #users do
    local score, number = values[i], users[i].number
    if score then
      score = integer(score)
      if not score then
        board.fault = board.key .. ': a score is not an integer'
        return
      end
      if ascending then
        score = 0 - score
      end
    end
    scores[number] = score
    if old_scores then
      old_scores[number] = score
    end
  end
end

-- Reads, from their balances, the scores of users who have a state and are not on the board. user.fault says what could not
-- be read.
local function read_hidden(board, users)
  for _, user in ipairs(users) do
    if user.visibility and not (user.fault or board.scores[user.number]) then
      local value = call('HGET', user.key, fields.HIDDEN_SCORE .. board.name)
      local score = value and integer(value)
      user.fault = value and not score and user.key .. ': a hidden score is not an integer' or user.fault
      board.scores[user.number] = score or false
    end
  end
end

-- Writes new prefixes. A member with an old prefix leaves the board; the user comes back under the new one.
local function write_prefixes(board, users)
  local old_members, prefixes, names = {}, {}, {}
  for i = 1, #users do
    local number, name = users[i].number, users[i].name
    local prefix = board.new_prefixes[number]
    if prefix then
      old_members[#old_members + 1] = board.members[number] or nil
      board.members[number] = nil
      if board.scores[number] then
        prefixes[#prefixes + 1], prefixes[#prefixes + 2] = name, prefix
        board.members[number] = prefix .. name
      else
        names[#names + 1] = name
      end
    end
  end
  if old_members[1] then
    call('ZREM', board.key, unpack(old_members))
  end
  if prefixes[1] then
    call('HSET', board.prefix_key, unpack(prefixes))
  end
  if names[1] then
    call('HDEL', board.prefix_key, unpack(names))
  end
end

-- Adds users' new scores to the distinct scores, and removes old ones that nobody on the board has any more.
local function write_distinct_scores(board, users)
  local ascending, args, old_keys = board.namespace.ascending, {}, {}
  for i = 1, #users do
    local old, score = board.old_scores[users[i].number], is_visible(users[i]) and board.scores[users[i].number]
    if score then
      local key = ascending and 0 - score or score
      args[#args + 1], args[#args + 2] = key, key
    end
    if old and old ~= score then
      old_keys[ascending and 0 - old or old] = true
    end
  end
  if args[1] then
    call('ZADD', board.scores_key, unpack(args))
  end
  for key in pairs(old_keys) do
    if call('ZCOUNT', board.key, key, key) == 0 then
      call('ZREM', board.scores_key, key)
    end
  end
end

-- Writes the score of a user who has a state: on the board, among the balances, or in neither place.
local function write_by_visibility(board, user, score, member)
  if score and user.visibility == 'returning' then
    call('ZADD', board.key, board.namespace.ascending and 0 - score or score, member)
  else
    call('ZREM', board.key, member)
  end
  if score and user.visibility == 'hidden' then
    call('HSET', user.key, fields.HIDDEN_SCORE .. board.name, score)
  else
    call('HDEL', user.key, fields.HIDDEN_SCORE .. board.name)
  end
  if user.visibility == 'erasing' and board.prefix_key then
    call('HDEL', board.prefix_key, user.name)
  end
end

-- Writes what has changed of users on a board, and what stands beside it. The scores and members that were written of users
-- without a state, as ZADD takes them.
local function write(board, users)
  local scores, ascending, args, n, names = board.scores, board.namespace.ascending, {}, 0, {}
  if board.prefix_key then
    write_prefixes(board, users)
  end
  for i = 1, #users do
    local user = users[i]
    local score = scores[user.number]
    local member = board.members and board.members[user.number] or user.name
    if user.visibility then
      write_by_visibility(board, user, score, member)
    elseif score then
      args[n + 1], args[n + 2], n = ascending and 0 - score or score, member, n + 2
    elseif not board.members then
      names[#names + 1] = user.name
    end
  end
  if n > 0 then
    call('ZADD', board.key, unpack(args))
  end
  if names[1] then
    call('ZREM', board.key, unpack(names))
  end
  if board.scores_key then
    write_distinct_scores(board, users)
  end
  if board.totals or board.sum_tree then
    board_totals.add_changes(board, users)
  end
  if board.times then
    grant_times.write(board, users)
  end
  return args
end

-- Writes what `write` has written on another board.
local function write_same(board, args)
  if args[1] then
    call('ZADD', board.key, unpack(args))
  end
end

return { read = read, read_hidden = read_hidden, write = write, write_same = write_same }
