-- Reads everything that a namespace keeps of some users, at one instant, for `verify`.
--
-- KEYS     meta; the boards, each followed by its prefixes, distinct scores and grant times where the namespace has them; the
--          balances of each user; the days of each user where the namespace has streaks
-- ARGV     number of boards, whether there are prefixes (0|1), distinct scores (0|1), grant times (0|1), days (0|1); then the
--          users' names
-- Reply    {seq, {a user's balances | false for no hash, …}, {a user's days | false for no hash, …}, {board's index, {user's
--          index, score | false, prefix | false, time | false, whether the distinct scores have the score (0|1), …}, …}};
--          boards and users without a score, a prefix or a time are left out. {'unopened'} where meta is lost
-- Effects  none
--
--- @include "include/fields"

local meta_key, board_count = KEYS[1], tonumber(ARGV[1])
local has_prefixes, has_scores, has_times, has_days = ARGV[2] == '1', ARGV[3] == '1', ARGV[4] == '1', ARGV[5] == '1'
local FIXED_ARGS = 5

local names = { unpack(ARGV, FIXED_ARGS + 1) }
local next_key = 2

local function take_key()
  next_key = next_key + 1
  return KEYS[next_key - 1]
end

local seq = redis.call('HGET', meta_key, fields.SEQ)
if not seq then
  return { 'unopened' }
end

-- Score -> 1 where the distinct scores have it, else 0.
local function find_scores(scores_key, scores)
  local distinct, has_score = {}, {}
  for i = 1, #names do
    if scores[i] then
      distinct[#distinct + 1] = scores[i]
    end
  end
  local values = distinct[1] and redis.call('ZMSCORE', scores_key, unpack(distinct)) or {}
  for i = 1, #distinct do
    has_score[distinct[i]] = values[i] and tonumber(values[i]) == tonumber(distinct[i]) and 1 or 0
  end
  return has_score
end

-- Five values for each user who has something on the board.
local function read_board()
  local board_key, prefixes, members, has_score, times = take_key(), {}, names, nil, {}
  if has_prefixes then
    prefixes, members = redis.call('HMGET', take_key(), unpack(names)), {}
    for i = 1, #names do
      members[i] = (prefixes[i] or '') .. names[i]
    end
  end
  local scores = redis.call('ZMSCORE', board_key, unpack(members))
  if has_scores then
    has_score = find_scores(take_key(), scores)
  end
  if has_times then
    times = redis.call('HMGET', take_key(), unpack(names))
  end
  local row, n = {}, 0
  for i = 1, #names do
    local score = scores[i]
    if score or prefixes[i] or times[i] then
      row[n + 1], row[n + 2], row[n + 3], row[n + 4] = i, score or false, prefixes[i] or false, times[i] or false
      row[n + 5], n = score and has_score and has_score[score] or 1, n + 5
    end
  end
  return row
end

local function read_hashes()
  local hashes = {}
  for i = 1, #names do
    local hash = redis.pcall('HGETALL', take_key())
    hashes[i] = not hash.err and hash
  end
  return hashes
end

local boards = {}
for i = 1, board_count do
  local row = read_board()
  if row[1] then
    boards[#boards + 1], boards[#boards + 2] = i, row
  end
end
return { seq, read_hashes(), has_days and read_hashes() or {}, boards }
