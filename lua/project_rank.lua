-- Reads the ranks that scores would give to a user, among the others on a board.
--
-- KEYS     board, meta, prefixes (where there is a tie-break), distinct scores (where the ranking is dense)
-- ARGV     user, ranking, tie-break (none | earliest | granted_at); then scores as the board keeps them
-- Reply    {rank from 0, …}: one for each score; among equal scores as if the user reached it just now. {'unopened'} where meta
--          is lost
-- Effects  none
--
--- @include "include/fields"
--- @include "include/members"
--- @include "include/positions"

local board_key, meta_key, prefix_key, scores_key = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local user, ranking, tie_break = ARGV[1], ARGV[2], ARGV[3]
local FIXED_ARGS = 3

if not redis.call('HGET', meta_key, fields.EPOCH) then
  return { 'unopened' }
end
local member = members.member_of(user, prefix_key, tie_break)
local own = redis.call('ZSCORE', board_key, member)

-- How many others rank above a score. The user's own entry is left out; where ranks are dense, the user's own score counts if
-- somebody else has it too.
local function rank0(score)
  local is_counted = own and tonumber(own) > tonumber(score)
  if ranking == 'dense' then
    is_counted = is_counted and redis.call('ZCOUNT', board_key, own, own) == 1
    return redis.call('ZCOUNT', scores_key, '(' .. score, '+inf') - (is_counted and 1 or 0)
  elseif ranking == 'ordinal' then
    local has_it = own and tonumber(own) == tonumber(score)
    local behind = (has_it or tie_break == 'none') and member or ''
    return positions.count_above(board_key, score, behind) - (is_counted and 1 or 0)
  end
  return redis.call('ZCOUNT', board_key, '(' .. score, '+inf') - (is_counted and 1 or 0)
end

local reply = {}
for i = FIXED_ARGS + 1, #ARGV do
  reply[i - FIXED_ARGS] = rank0(ARGV[i])
end
return reply
