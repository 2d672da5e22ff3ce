-- Reads a stretch of a board together with the version it has.
--
-- KEYS     board, space, meta, orders (where there is a tie-break), scores (where the ranking is dense)
-- ARGV     window, ranking, tie-break (none | earliest | granted_at), whether scores are kept (0|1), view: 'page' offset
--          limit [low high] | 'after' score member limit [low high] | 'around' user radius | 'users' user user …; low and high
--          bound the scores of a page, offset counts within them
-- Reply    {epoch, seq, version, total, count, last score, last member, position, user, score, rank - 1, …}: four an entry,
--          in the board's order; position from 1; count: how many have a score within the bounds, without them total; the
--          last two name the last entry of a page that others follow, else false; an absent user of 'around' leaves the
--          list empty; {'unopened'} where meta is gone; {'too_deep'} where dense ranks would have to be counted one by
--          one; {'archived', epoch, version} where the board stands in Postgres
-- Effects  none
--
--- @include "include/board_header"
--- @include "include/members"
--- @include "include/positions"
--- @include "include/ranks"

local board_key, prefix_key, tie_break, view = KEYS[1], KEYS[4], ARGV[3], ARGV[5]

local counter, reply = board_header.start_reply(KEYS, ARGV)
if not counter then
  return reply
end
local total, ranking = counter.total, counter.ranking

local function before_next(position, before)
  return ranking == 'dense' and before + 1 or position - 1
end

-- Entries from a place on, before another; within the page a new score's rank follows from the entries before it.
local function stretch(first, last, behind)
  if math.min(last, behind - 1) < first then
    return
  end
  local found = redis.call('ZREVRANGE', board_key, first, math.min(last, behind - 1), 'WITHSCORES')
  local score, before
  for i = 1, #found, 2 do
    local position = first + (i + 1) / 2
    if found[i + 1] ~= score or ranking == 'ordinal' then
      before = score and before_next(position, before) or ranks.rank0(counter, found[i + 1], position)
      score = found[i + 1]
    end
    local n = #reply
    reply[n + 1], reply[n + 2], reply[n + 3], reply[n + 4] = position, members.user_of(found[i], tie_break), score, before
  end
  if #found > 0 and first + #found / 2 < behind then
    reply[6], reply[7] = found[#found], found[#found - 1]
  end
end

-- The first place within bounds and the first one behind them: all of the board where there are none.
local function bounds(low, high)
  if not low then
    return 0, total
  end
  local first = redis.call('ZCOUNT', board_key, '(' .. high, '+inf')
  reply[5] = redis.call('ZCOUNT', board_key, low, high)
  return first, first + reply[5]
end

-- The place behind (score, member), whether it still stands there or not. O(log² n).
local function place_behind(score, member)
  local place = positions.count_above(board_key, score, member)
  local found = redis.call('ZREVRANGE', board_key, place, place, 'WITHSCORES')
  return found[1] == member and found[2] == score and place + 1 or place
end

-- A member's place, from 0, and how many have a better score. Where nobody has an equal one they are the same: on a large
-- board each way down to a member costs more than all else, and the two counts go one.
local function place_of(member, score)
  local better = redis.call('ZCOUNT', board_key, '(' .. score, '+inf')
  local is_alone = redis.call('ZCOUNT', board_key, score, score) == 1
  return is_alone and better or redis.call('ZREVRANK', board_key, member), better
end

-- Users wherever they stand, in the board's order.
local function add_users()
  local found = {}
  for i = 6, #ARGV do
    local member = members.member_of(ARGV[i], prefix_key, tie_break)
    local score = redis.call('ZSCORE', board_key, member)
    if score then
      local place, better = place_of(member, score)
      found[#found + 1] = { place + 1, ARGV[i], score, better }
    end
  end
  table.sort(found, function(a, b) return a[1] < b[1] end)
  for _, one in ipairs(found) do
    local n = #reply
    reply[n + 1], reply[n + 2], reply[n + 3] = one[1], one[2], one[3]
    reply[n + 4] = ranking == 'competition' and one[4] or ranks.rank0(counter, one[3], one[1])
  end
end

if view == 'page' then
  local first, behind = bounds(ARGV[8], ARGV[9])
  first = first + tonumber(ARGV[6])
  stretch(first, first + tonumber(ARGV[7]) - 1, behind)
elseif view == 'after' then
  local first, behind = bounds(ARGV[9], ARGV[10])
  first = math.max(first, place_behind(ARGV[6], ARGV[7]))
  stretch(first, first + tonumber(ARGV[8]) - 1, behind)
elseif view == 'around' then
  local place = redis.call('ZREVRANK', board_key, members.member_of(ARGV[6], prefix_key, tie_break))
  if place then
    stretch(math.max(0, place - tonumber(ARGV[7])), place + tonumber(ARGV[7]), total)
    reply[6], reply[7] = false, false
  end
else
  add_users()
end
return counter.too_deep and { 'too_deep' } or reply
