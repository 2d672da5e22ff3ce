-- Reads where one user stands on several boards of a namespace, their balances and their days.
--
-- KEYS     balances, days, meta, then for each board: board, orders (where there is a tie-break), scores (where the ranking
--          is dense)
-- ARGV     user, ranking, tie-break (none | earliest | granted_at)
-- Reply    {epoch, seq, balances {field, value, …}, days {stretch, its days, …}, total | false, score, rank - 1, users not
--          better, next score above | false, …}: five a board, total false where the user is not on it; {'unopened'} where meta is gone
-- Effects  none
--
--- @include "include/members"

local balances_key, days_key, meta_key, user = KEYS[1], KEYS[2], KEYS[3], ARGV[1]
local ranking, tie_break = ARGV[2], ARGV[3]

local head = redis.call('HMGET', meta_key, 'epoch', 'seq')
if not (head[1] and head[2]) then
  return { 'unopened' }
end
local reply = { head[1], head[2], redis.call('HGETALL', balances_key), redis.call('HGETALL', days_key) }

for i = 4, #KEYS, 3 do
  local board_key, scores_key, member = KEYS[i], KEYS[i + 2], members.member_of(user, KEYS[i + 1], tie_break)
  local score, n = redis.call('ZSCORE', board_key, member), #reply
  if score then
    local total = redis.call('ZCARD', board_key)
    local better = redis.call('ZCOUNT', board_key, '(' .. score, '+inf')
    local before = better
    if ranking == 'dense' then
      before = redis.call('ZCOUNT', scores_key, '(' .. score, '+inf')
    elseif ranking == 'ordinal' then
      before = redis.call('ZREVRANK', board_key, member)
    end
    local next_above = redis.call('ZRANGEBYSCORE', board_key, '(' .. score, '+inf', 'WITHSCORES', 'LIMIT', 0, 1)
    reply[n + 1], reply[n + 2], reply[n + 3], reply[n + 4] = total, score, before, total - better
    reply[n + 5] = next_above[2] or false
  else
    for column = 1, 5 do
      reply[n + column] = false
    end
  end
end
return reply
