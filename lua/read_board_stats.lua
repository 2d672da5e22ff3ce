-- Reads what a board's scores come to, all of it at one version.
--
-- KEYS     board, namespace, meta, sums of the board (where bounded sums are kept and asked for)
-- ARGV     board's name, lowest and highest score as ZCOUNT takes them, bins of a histogram (0: none), order (desc | asc),
--          then 1 for two scores a percent (else 0), then percents in ten-thousandths
-- Reply    {epoch, version, sums | false, sum | false, count, lowest, highest, score of each percent …, begin of a bin, its
--          count, …}: sums as include/board_totals keeps them, of the whole board; the rest of the scores in bounds, the sum of
--          them as the board keeps them ('' where its tree is broken), scores false without any;
--          the score of a percent: that which so many, the worst first, do not surpass (nearest rank), or the two between
--          whose places it lies (the first and the last place are 0 and 100 percent); bins as the scores go up, each up
--          to the next one's begin; {'unopened'} where meta is gone; {'archived', epoch, version} where the
--          board stands in Postgres
-- Effects  none
--
--- @include "include/sum_tree_range"
--- @include "include/windows"

local board_key, namespace_key, meta_key, sums_key = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local board, low, high, bins, ascending = ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4]), ARGV[5] == 'asc'
local between = ARGV[6] == '1'
local FIRST_PERCENT, WHOLE = 7, 1000000

local epoch = redis.call('HGET', meta_key, 'epoch')
if not epoch then
  return { 'unopened' }
end
local held = redis.call('HMGET', namespace_key, 'v:' .. board, 't:' .. board, 'x:' .. windows.window_of(board))
local version, archived = held[1] or '0', windows.archived_version(held[3], held[1])
if archived then
  return { 'archived', epoch, archived }
end

local count = redis.call('ZCOUNT', board_key, low, high)
-- How many are worse than the worst in bounds.
local worse = redis.call('ZCARD', board_key) - redis.call('ZCOUNT', board_key, low, '+inf')

-- The key at a place from the worst, from 1; false on an empty board.
local function key_at(place)
  return count > 0 and redis.call('ZRANGE', board_key, worse + place - 1, worse + place - 1, 'WITHSCORES')[2]
end

local function score_of(key)
  return ascending and 0 - key or tonumber(key)
end

local worst, best = key_at(1), key_at(count)
local sum = sums_key and '0' or false
if sum and count > 0 then
  sum = sum_tree_range.sum(board_key, sums_key, tonumber(low), tonumber(high)) or ''
end
local reply = { epoch, version, held[2], sum, count, ascending and best or worst, ascending and worst or best }
for i = FIRST_PERCENT, #ARGV do
  local share = tonumber(ARGV[i])
  if between then
    local place = math.floor(share * math.max(count - 1, 0) / WHOLE) + 1
    reply[#reply + 1] = key_at(place)
    reply[#reply + 1] = key_at(math.min(place + 1, count))
  else
    reply[#reply + 1] = key_at(math.max(1, math.floor((share * count + WHOLE - 1) / WHOLE)))
  end
end

-- How many scores lie from `first` up to `next`, that one left out.
local function count_from(first, next)
  if ascending then
    return redis.call('ZCOUNT', board_key, string.format('(%.0f', 0 - next), string.format('%.0f', 0 - first))
  end
  return redis.call('ZCOUNT', board_key, string.format('%.0f', first), string.format('(%.0f', next))
end

if bins > 0 and count > 0 then
  local lowest, highest = score_of(reply[6]), score_of(reply[7])
  local width = highest - lowest + 1
  bins = math.min(bins, width)
  local rest = width % bins
  local step = (width - rest) / bins
  local first = lowest
  for i = 1, bins do
    local next = lowest + step * i + math.floor(rest * i / bins)
    reply[#reply + 1], reply[#reply + 2] = string.format('%.0f', first), count_from(first, next)
    first = next
  end
end
return reply
