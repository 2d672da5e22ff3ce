-- Reads all that a namespace holds of some users, at one instant, as verification compares it.
--
-- KEYS     meta; then of each board: its sorted set, its orders where it is dated, its scores where it is dense, its times
--          where it is timed; then the balances of each user, and the days of each where streaks are on
-- ARGV     how many boards, dated (0|1), dense (0|1), timed (0|1), with days (0|1), then the users' names
-- Reply    {seq, one table a user: their balances (false: no hash), one a user: their days (false: no hash), {board's place, {user's place, score | false, digits |
--          false, time | false, whether the scores hold theirs (0|1), …}, …} of boards where somebody stands or has digits
--          or a time}; {'unopened'} where meta is gone
-- Effects  none

local boards, dated, dense, timed = tonumber(ARGV[1]), ARGV[2] == '1', ARGV[3] == '1', ARGV[4] == '1'
local with_days = ARGV[5] == '1'
local names, users = {}, #ARGV - 5
for i = 1, users do
  names[i] = ARGV[5 + i]
end

local seq = redis.call('HGET', KEYS[1], 'seq')
if not seq then
  return { 'unopened' }
end

-- The scores that the dense ranks lack, by what stands for them in a sorted set's reply.
local function kept_of(scores_key, scores)
  local asked, kept = {}, {}
  for i = 1, users do
    if scores[i] then
      asked[#asked + 1] = scores[i]
    end
  end
  local found = asked[1] and redis.call('ZMSCORE', scores_key, unpack(asked)) or {}
  for i = 1, #asked do
    kept[asked[i]] = found[i] and tonumber(found[i]) == tonumber(asked[i]) and 1 or 0
  end
  return kept
end

local key, told = 2, {}
for b = 1, boards do
  local board_key, prefix, members, kept, times = KEYS[key], {}, names, nil, {}
  key = key + 1
  if dated then
    prefix, members = redis.call('HMGET', KEYS[key], unpack(names)), {}
    key = key + 1
    for i = 1, users do
      members[i] = (prefix[i] or '') .. names[i]
    end
  end
  local scores = redis.call('ZMSCORE', board_key, unpack(members))
  if dense then
    kept = kept_of(KEYS[key], scores)
    key = key + 1
  end
  if timed then
    times, key = redis.call('HMGET', KEYS[key], unpack(names)), key + 1
  end
  local row, n = {}, 0
  for i = 1, users do
    local score = scores[i]
    if score or prefix[i] or times[i] then
      row[n + 1], row[n + 2], row[n + 3], row[n + 4] = i, score or false, prefix[i] or false, times[i] or false
      row[n + 5], n = score and kept and kept[score] or 1, n + 5
    end
  end
  if n > 0 then
    told[#told + 1], told[#told + 2] = b, row
  end
end

local function hashes_from(first)
  local hashes = {}
  for i = 1, users do
    local held = redis.pcall('HGETALL', KEYS[first + i - 1])
    hashes[i] = not held.err and held
  end
  return hashes
end

return { seq, hashes_from(key), with_days and hashes_from(key + users) or {}, told }
