-- Reads entries of a board that its size picks, together with the version it has.
--
-- KEYS     board, space, meta, orders (unused), scores (where the ranking is dense)
-- ARGV     window, ranking, tie-break (none | earliest | granted_at), whether scores are kept (0|1), view: 'percentile'
--          ten-thousandths of a percent | 'random' fraction fraction …, each 0 ≤ fraction < 1, one for an entry |
--          'bands' share share …, rising, each 0 < share ≤ 1
-- Reply    as board.lua replies. 'percentile': the entry of nearest rank, by shares as a standing rounds them, none on an
--          empty board. 'random': as many entries as there are fractions, each at most once, all sets equally likely.
--          'bands': the first and the last of each band that anybody is in, once where they are one
-- Effects  none
--
--- @include "include/board_header"
--- @include "include/members"
--- @include "include/ranks"

local board_key, tie_break, view = KEYS[1], ARGV[3], ARGV[5]

local counter, reply = board_header.start_reply(KEYS, ARGV)
if not counter then
  return reply
end
local total = counter.total

-- The entry at a position, and the one above it with the same read: where that one has another score, the rank is the
-- position, and nothing needs to be counted.
local function add(position)
  local found = redis.call('ZREVRANGE', board_key, math.max(position - 2, 0), position - 1, 'WITHSCORES')
  local member, score, above, n = found[#found - 1], found[#found], found[#found - 2], #reply
  local is_first = counter.ranking == 'competition' and above ~= score
  reply[n + 1], reply[n + 2] = position, members.user_of(member, tie_break)
  reply[n + 3], reply[n + 4] = score, is_first and position - 1 or ranks.rank0(counter, score, position)
end

-- The fewest of total, at least one, whose share rounds to as much. Below 2^53, so nothing of it is lost.
local function fewest(share)
  return math.max(1, math.ceil((2 * share - 1) * total / 2000000))
end

-- Floyd's sample: each number up to total as likely, in rising order.
local function sample(first)
  local taken, positions, n = {}, {}, math.min(#ARGV - first + 1, total)
  for i = 1, n do
    local top = total - n + i
    local position = math.floor(tonumber(ARGV[first + i - 1]) * top) + 1
    position = taken[position] and top or position
    taken[position], positions[i] = true, position
  end
  table.sort(positions)
  return positions
end

-- How many places begin within a share: whoever stands at one is surpassed by fewer than that share of all.
local function begun(share)
  local places = math.max(0, math.floor(share * total) - 1)
  while places < total and places / total < share do
    places = places + 1
  end
  return places
end

local function add_bands(first)
  local reached = 0
  for i = first, #ARGV do
    local place = begun(tonumber(ARGV[i]))
    if place > reached then
      local last = redis.call('ZREVRANGE', board_key, place - 1, place - 1, 'WITHSCORES')
      local before = reached
      reached = redis.call('ZCOUNT', board_key, last[2], '+inf')
      add(before + 1)
      if reached > before + 1 then
        add(reached)
      end
    end
  end
end

if view == 'random' then
  for _, position in ipairs(sample(6)) do
    add(position)
  end
elseif view == 'bands' then
  add_bands(6)
elseif total > 0 then
  add(total - fewest(tonumber(ARGV[6])) + 1)
end
return counter.too_deep and { 'too_deep' } or reply
