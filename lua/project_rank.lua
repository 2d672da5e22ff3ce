-- Reads the ranks that some scores have for a user, or would have, among the others on a board.
--
-- KEYS     board, meta, orders (where there is a tie-break), scores (where the ranking is dense)
-- ARGV     user, ranking, tie-break (none | earliest | granted_at), then scores as the board keeps them
-- Reply    {rank - 1, …}: one a score, among equals as if it was reached just now; {'unopened'} where meta is gone
-- Effects  none
--
--- @include "include/members"
--- @include "include/positions"

local board_key, meta_key, prefix_key, scores_key = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local user, ranking, tie_break = ARGV[1], ARGV[2], ARGV[3]

if not redis.call('HGET', meta_key, 'epoch') then
  return { 'unopened' }
end
local member = members.member_of(user, prefix_key, tie_break)
local own = redis.call('ZSCORE', board_key, member)

-- How many are counted before a score: the user is none of them, where nobody else holds what the user holds.
local function before(score)
  local is_counted = own and tonumber(own) > tonumber(score)
  if ranking == 'dense' then
    is_counted = is_counted and redis.call('ZCOUNT', board_key, own, own) == 1
    return redis.call('ZCOUNT', scores_key, '(' .. score, '+inf') - (is_counted and 1 or 0)
  elseif ranking == 'ordinal' then
    local is_there = own and tonumber(own) == tonumber(score)
    return positions.count_above(board_key, score, (is_there or tie_break == 'none') and member or '') - (is_counted and 1 or 0)
  end
  return redis.call('ZCOUNT', board_key, '(' .. score, '+inf') - (is_counted and 1 or 0)
end

local reply = {}
for i = 4, #ARGV do
  reply[i - 3] = before(ARGV[i])
end
return reply
