-- Reads the statistics of a board's scores, all at one version.
--
-- KEYS     board, namespace, meta, sum tree of the board (where bounded sums are kept and asked for)
-- ARGV     board, lowest and highest score as ZCOUNT takes them, bins of a histogram (0: none), order (desc | asc), whether
--          each percent gets two scores (0|1); then percents in ten-thousandths
-- Reply    {epoch, version, totals | false, sum | false, count, lowest, highest, score of each percent …, begin of a bin, its
--          count, …}. totals: of the whole board (include/board_totals); all else is of the scores within the bounds. sum: ''
--          where the sum tree is broken. Scores are as the board keeps them, false where there are none. A percent's score is
--          the worst that at least so many do not surpass (nearest rank); or the two scores around the percent, where
--          the worst is 0 and the best is 100 percent. Bins rise; each ends where the next begins.
--          {'unopened'} where meta is lost; {'archived', epoch, version} where the board is in Postgres
-- Effects  none
--
--- @include "include/fields"
--- @include "include/sum_tree_range"
--- @include "include/windows"

local board_key, namespace_key, meta_key, tree_key = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local board, low, high, bins, ascending = ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4]), ARGV[5] == 'asc'
local has_two_scores = ARGV[6] == '1'
local FIRST_PERCENT, WHOLE = 7, 1000000

local epoch = redis.call('HGET', meta_key, fields.EPOCH)
if not epoch then
  return { 'unopened' }
end
local version, totals, state = unpack(redis.call('HMGET', namespace_key, fields.BOARD_VERSION .. board,
  fields.BOARD_TOTALS .. board, fields.WINDOW_STATE .. windows.window_of(board)))
local archived = windows.archived_version(state, version)
if archived then
  return { 'archived', epoch, archived }
end

local count = redis.call('ZCOUNT', board_key, low, high)
local worse = redis.call('ZCARD', board_key) - redis.call('ZCOUNT', board_key, low, '+inf')

-- The key of a number within the bounds, from the worst, from 1; false where there are none.
local function key_at(number)
  return count > 0 and redis.call('ZRANGE', board_key, worse + number - 1, worse + number - 1, 'WITHSCORES')[2]
end

local function score_of(key)
  return ascending and 0 - key or tonumber(key)
end

-- How many scores there are from `first` up to `stop`, without `stop`.
local function count_from(first, stop)
  if ascending then
    return redis.call('ZCOUNT', board_key, string.format('(%.0f', 0 - stop), string.format('%.0f', 0 - first))
  end
  return redis.call('ZCOUNT', board_key, string.format('%.0f', first), string.format('(%.0f', stop))
end

local worst, best = key_at(1), key_at(count)
local sum = tree_key and '0' or false
if sum and count > 0 then
  sum = sum_tree_range.sum(board_key, tree_key, tonumber(low), tonumber(high)) or ''
end
local reply = { epoch, version or '0', totals, sum, count, ascending and best or worst, ascending and worst or best }
for i = FIRST_PERCENT, #ARGV do
  local millionths = tonumber(ARGV[i])
  if has_two_scores then
    local number = math.floor(millionths * math.max(count - 1, 0) / WHOLE) + 1
    reply[#reply + 1] = key_at(number)
    reply[#reply + 1] = key_at(math.min(number + 1, count))
  else
    reply[#reply + 1] = key_at(math.max(1, math.floor((millionths * count + WHOLE - 1) / WHOLE)))
  end
end

if bins > 0 and count > 0 then
  local lowest, highest = score_of(reply[6]), score_of(reply[7])
  local width = highest - lowest + 1
  bins = math.min(bins, width)
  local rest = width % bins
  local step = (width - rest) / bins
  local first = lowest
  for i = 1, bins do
    local stop = lowest + step * i + math.floor(rest * i / bins)
    reply[#reply + 1], reply[#reply + 2] = string.format('%.0f', first), count_from(first, stop)
    first = stop
  end
end
return reply
