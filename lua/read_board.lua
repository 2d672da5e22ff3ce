-- Reads rows of a board that stand side by side, or those of some users, with the board's version.
--
-- KEYS     board, namespace, meta, prefixes (where there is a tie-break), distinct scores (where the ranking is dense)
-- ARGV     board, ranking, tie-break (none | earliest | granted_at), whether distinct scores are kept (0|1); then the view:
--          'page' offset limit [low high] | 'after' score member limit [low high] | 'around' user radius | 'users' user user …
--          low and high bound the scores of a page; offset counts within them
-- Reply    {epoch, seq, version, size, count, last score, last member, position, user, score, rank from 0, …}: four for each
--          row, in the board's order. position: from 1. count: scores within the bounds; without bounds, size. The last score
--          and member are those of a page that further rows follow, else false. 'around' an absent user has no rows.
--          {'unopened'} where meta is lost; {'too_deep'} where dense ranks would have to count too many scores; {'archived',
--          epoch, version} where the board is in Postgres
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
local size, ranking = counter.size, counter.ranking

-- The rank of a score which the page meets at `position`, by the rank of the score before it on the page.
local function next_rank0(position, rank0)
  return ranking == 'dense' and rank0 + 1 or position - 1
end

-- Adds the rows from the index `first` to `last`, and none from the index `stop` on. Only the first rank of a page is
-- counted; the others follow from it.
local function add_range(first, last, stop)
  if math.min(last, stop - 1) < first then
    return
  end
  local rows = redis.call('ZREVRANGE', board_key, first, math.min(last, stop - 1), 'WITHSCORES')
  local user_of = members.user_of
  local score, rank0
  for i = 1, #rows, 2 do
    local position = first + (i + 1) / 2
    if rows[i + 1] ~= score or ranking == 'ordinal' then
      rank0 = score and next_rank0(position, rank0) or ranks.rank0(counter, rows[i + 1], position)
      score = rows[i + 1]
    end
    local n = #reply
    reply[n + 1], reply[n + 2], reply[n + 3], reply[n + 4] = position, user_of(rows[i], tie_break), score, rank0
  end
  if #rows > 0 and first + #rows / 2 < stop then
    reply[6], reply[7] = rows[#rows], rows[#rows - 1]
  end
end

-- The index of the first row within the bounds, and of the first one after them; without bounds, those of the whole board.
local function find_bounds(low, high)
  if not low then
    return 0, size
  end
  local first = redis.call('ZCOUNT', board_key, '(' .. high, '+inf')
  reply[5] = redis.call('ZCOUNT', board_key, low, high)
  return first, first + reply[5]
end

-- The index after (score, member), which may not be on the board any more. O(log² n).
local function index_after(score, member)
  local index = positions.count_above(board_key, score, member)
  local row = redis.call('ZREVRANGE', board_key, index, index, 'WITHSCORES')
  return row[1] == member and row[2] == score and index + 1 or index
end

-- A member's index, and how many have a better score. Where nobody has an equal score the two are the same. To find a member
-- costs more than two counts on a large board, so it is only done where it must be.
local function find_member(member, score)
  local better = redis.call('ZCOUNT', board_key, '(' .. score, '+inf')
  local is_alone = redis.call('ZCOUNT', board_key, score, score) == 1
  return is_alone and better or redis.call('ZREVRANK', board_key, member), better
end

-- Adds the rows of users, in the board's order.
local function add_users()
  local rows = {}
  for i = 6, #ARGV do
    local member = members.member_of(ARGV[i], prefix_key, tie_break)
    local score = redis.call('ZSCORE', board_key, member)
    if score then
      local index, better = find_member(member, score)
      rows[#rows + 1] = { position = index + 1, user = ARGV[i], score = score, better = better }
    end
  end
  table.sort(rows, function(a, b) return a.position < b.position end)
  for _, row in ipairs(rows) do
    local n = #reply
    reply[n + 1], reply[n + 2], reply[n + 3] = row.position, row.user, row.score
    reply[n + 4] = ranking == 'competition' and row.better or ranks.rank0(counter, row.score, row.position)
  end
end

if view == 'page' then
  local first, stop = find_bounds(ARGV[8], ARGV[9])
  first = first + tonumber(ARGV[6])
  add_range(first, first + tonumber(ARGV[7]) - 1, stop)
elseif view == 'after' then
  local first, stop = find_bounds(ARGV[9], ARGV[10])
  first = math.max(first, index_after(ARGV[6], ARGV[7]))
  add_range(first, first + tonumber(ARGV[8]) - 1, stop)
elseif view == 'around' then
  local index = redis.call('ZREVRANK', board_key, members.member_of(ARGV[6], prefix_key, tie_break))
  if index then
    add_range(math.max(0, index - tonumber(ARGV[7])), index + tonumber(ARGV[7]), size)
    reply[6], reply[7] = false, false
  end
else
  add_users()
end
return counter.is_too_deep and { 'too_deep' } or reply
