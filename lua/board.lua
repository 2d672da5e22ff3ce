-- Reads a stretch of a board together with the version it has.
--
-- KEYS     board, space, meta, orders (where the tie-break is earliest), scores (where the ranking is dense)
-- ARGV     window, ranking, tie-break (none | earliest), whether scores are kept (0|1), view: 'page' offset limit |
--          'after' score member limit | 'around' user radius | 'users' user user …
-- Reply    {epoch, seq, version, total, last score, last member, position, user, score, rank - 1, …}: four an entry, in
--          the board's order; position from 1; the last two name the last entry of a page that others follow, else false;
--          an absent user of 'around' leaves the list empty; {'unopened'} where meta is gone; {'too_deep'} where dense
--          ranks would have to be counted one by one; {'archived', epoch, version} where the board stands in Postgres
-- Effects  none
--
--- @include "include/window"
--- @include "include/members"
--- @include "include/places"

local board_key, space_key, meta_key, orders_key, scores_key = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local window, ranking, earliest, kept, view = ARGV[1], ARGV[2], ARGV[3] == 'earliest', ARGV[4] == '1', ARGV[5]
local STEPS_MAX = 1000

local head = redis.call('HMGET', meta_key, 'epoch', 'seq')
if not (head[1] and head[2]) then
  return { 'unopened' }
end
local held = redis.call('HMGET', space_key, 'v:' .. window, 'x:' .. window_of(window))
local version = held[1]
if held[2] == 'a' then
  return { 'archived', head[1], version or '0' }
end
local total = redis.call('ZCARD', board_key)
local reply = { head[1], head[2], version or '0', total, false, false }
local too_deep = false

local function user_of(member)
  return earliest and string.sub(member, 17) or member
end

-- How many different scores are better: kept, or counted step by step where a read asks for what is not kept.
local function distinct_better(score)
  if kept then
    return redis.call('ZCOUNT', scores_key, '(' .. score, '+inf')
  end
  local held, steps = redis.call('ZREVRANGE', board_key, 0, 0, 'WITHSCORES')[2], 0
  while held ~= score do
    steps = steps + 1
    if steps > STEPS_MAX then
      too_deep = true
      return 0
    end
    held = redis.call('ZREVRANGEBYSCORE', board_key, '(' .. held, score, 'WITHSCORES', 'LIMIT', 0, 1)[2]
  end
  return steps
end

local function before_first(score, position)
  if ranking == 'ordinal' then
    return position - 1
  elseif ranking == 'dense' then
    return distinct_better(score)
  end
  return redis.call('ZCOUNT', board_key, '(' .. score, '+inf')
end

local function before_next(position, before)
  return ranking == 'dense' and before + 1 or position - 1
end

-- Entries from a position on; within the page a new score's rank follows from the entries before it.
local function stretch(first, last)
  local found = redis.call('ZREVRANGE', board_key, first, last, 'WITHSCORES')
  local score, before
  for i = 1, #found, 2 do
    local position = first + (i + 1) / 2
    if found[i + 1] ~= score or ranking == 'ordinal' then
      before = score and before_next(position, before) or before_first(found[i + 1], position)
      score = found[i + 1]
    end
    local n = #reply
    reply[n + 1], reply[n + 2], reply[n + 3], reply[n + 4] = position, user_of(found[i]), score, before
  end
  if #found > 0 and first + #found / 2 < total then
    reply[5], reply[6] = found[#found], found[#found - 1]
  end
end

-- The place behind (score, member), whether it still stands there or not. O(log² n).
local function place_behind(score, member)
  local place = above(board_key, score, member)
  local found = redis.call('ZREVRANGE', board_key, place, place, 'WITHSCORES')
  return found[1] == member and found[2] == score and place + 1 or place
end

if view == 'page' then
  stretch(tonumber(ARGV[6]), tonumber(ARGV[6]) + tonumber(ARGV[7]) - 1)
elseif view == 'after' then
  local place = place_behind(ARGV[6], ARGV[7])
  stretch(place, place + tonumber(ARGV[8]) - 1)
elseif view == 'around' then
  local place = redis.call('ZREVRANK', board_key, member_of(ARGV[6], orders_key, earliest))
  if place then
    stretch(math.max(0, place - tonumber(ARGV[7])), place + tonumber(ARGV[7]))
    reply[5], reply[6] = false, false
  end
else
  for i = 6, #ARGV do
    local member = member_of(ARGV[i], orders_key, earliest)
    local place = redis.call('ZREVRANK', board_key, member)
    if place then
      local score, n = redis.call('ZSCORE', board_key, member), #reply
      reply[n + 1], reply[n + 2], reply[n + 3] = place + 1, ARGV[i], score
      reply[n + 4] = before_first(score, place + 1)
    end
  end
end
return too_deep and { 'too_deep' } or reply
