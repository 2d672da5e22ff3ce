-- Reads rows of a board that are chosen by its size, with the board's version.
--
-- KEYS     board, namespace, meta, prefixes (not used), distinct scores (where the ranking is dense)
-- ARGV     board, ranking, tie-break (none | earliest | granted_at), whether distinct scores are kept (0|1); then the view:
--          'percentile' ten-thousandths of a percent | 'random' fraction fraction …, each 0 ≤ fraction < 1, one for each row
--          | 'bands' fraction fraction …, rising, each 0 < fraction ≤ 1
-- Reply    as that of read_board.lua. 'percentile': the row of nearest rank, none on an empty board. 'random': as many rows
--          as there are fractions, each at most once; all sets are equally likely. 'bands': the first and the last row of
--          each band that has rows, once where they are the same
-- Effects  none
--
--- @include "include/board_header"
--- @include "include/members"
--- @include "include/ranks"

local board_key, tie_break, view = KEYS[1], ARGV[3], ARGV[5]
local FIRST_CHOICE = 6

local counter, reply = board_header.start_reply(KEYS, ARGV)
if not counter then
  return reply
end
local size = counter.size

-- Adds the row at a position. The row above it is read with it: if that has another score, the rank is the position, and
-- nothing has to be counted.
local function add(position)
  local rows = redis.call('ZREVRANGE', board_key, math.max(position - 2, 0), position - 1, 'WITHSCORES')
  local member, score, score_above, n = rows[#rows - 1], rows[#rows], rows[#rows - 2], #reply
  local is_first = counter.ranking == 'competition' and score_above ~= score
  reply[n + 1], reply[n + 2] = position, members.user_of(member, tie_break)
  reply[n + 3], reply[n + 4] = score, is_first and position - 1 or ranks.rank0(counter, score, position)
end

-- The lowest number of rows, at least 1, whose part of all rounds to a percentile, in millionths. Below 2^53, so it is exact.
local function fewest(millionths)
  return math.max(1, math.ceil((2 * millionths - 1) * size / 2000000))
end

-- Positions by Floyd's sampling, in rising order: each position is equally likely.
local function draw_sample()
  local taken, sample, n = {}, {}, math.min(#ARGV - FIRST_CHOICE + 1, size)
  for i = 1, n do
    local top = size - n + i
    local position = math.floor(tonumber(ARGV[FIRST_CHOICE + i - 1]) * top) + 1
    position = taken[position] and top or position
    taken[position], sample[i] = true, position
  end
  table.sort(sample)
  return sample
end

-- The number of positions p with (p - 1) / size < fraction.
local function positions_within(fraction)
  local count = math.max(0, math.floor(fraction * size) - 1)
  while count < size and count / size < fraction do
    count = count + 1
  end
  return count
end

local function add_bands()
  local reached = 0
  for i = FIRST_CHOICE, #ARGV do
    local position = positions_within(tonumber(ARGV[i]))
    if position > reached then
      local last = redis.call('ZREVRANGE', board_key, position - 1, position - 1, 'WITHSCORES')
      local first = reached + 1
      reached = redis.call('ZCOUNT', board_key, last[2], '+inf')
      add(first)
      if reached > first then
        add(reached)
      end
    end
  end
end

if view == 'random' then
  for _, position in ipairs(draw_sample()) do
    add(position)
  end
elseif view == 'bands' then
  add_bands()
elseif size > 0 then
  add(size - fewest(tonumber(ARGV[FIRST_CHOICE])) + 1)
end
return counter.is_too_deep and { 'too_deep' } or reply
