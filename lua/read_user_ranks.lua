-- Reads the ranks of one user on several boards of a namespace, with their balances and days.
--
-- KEYS     balances, days, meta; then for each board: board, prefixes (where there is a tie-break), distinct scores (where the
--          ranking is dense)
-- ARGV     user, ranking, tie-break (none | earliest | granted_at)
-- Reply    {epoch, seq, balances {field, value, …}, days {stretch, its days, …}, size | false, score, rank from 0, users who
--          are not better, next better score | false, …}: five for each board; size is false where the user is not on it.
--          {'unopened'} where meta is lost
-- Effects  none
--
--- @include "include/fields"
--- @include "include/members"

local balances_key, days_key, meta_key, user = KEYS[1], KEYS[2], KEYS[3], ARGV[1]
local ranking, tie_break = ARGV[2], ARGV[3]

local head = redis.call('HMGET', meta_key, fields.EPOCH, fields.SEQ)
if not (head[1] and head[2]) then
  return { 'unopened' }
end
local reply = { head[1], head[2], redis.call('HGETALL', balances_key), redis.call('HGETALL', days_key) }

local function add_board(board_key, prefix_key, scores_key)
  local member, n = members.member_of(user, prefix_key, tie_break), #reply
  local score = redis.call('ZSCORE', board_key, member)
  if not score then
    for column = 1, 5 do
      reply[n + column] = false
    end
    return
  end
  local size = redis.call('ZCARD', board_key)
  local better = redis.call('ZCOUNT', board_key, '(' .. score, '+inf')
  local rank0 = better
  if ranking == 'dense' then
    rank0 = redis.call('ZCOUNT', scores_key, '(' .. score, '+inf')
  elseif ranking == 'ordinal' then
    rank0 = redis.call('ZREVRANK', board_key, member)
  end
  local next_better = redis.call('ZRANGEBYSCORE', board_key, '(' .. score, '+inf', 'WITHSCORES', 'LIMIT', 0, 1)
  reply[n + 1], reply[n + 2], reply[n + 3], reply[n + 4] = size, score, rank0, size - better
  reply[n + 5] = next_better[2] or false
end

for i = 4, #KEYS, 3 do
  add_board(KEYS[i], KEYS[i + 1], KEYS[i + 2])
end
return reply
