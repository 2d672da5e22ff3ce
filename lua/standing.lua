-- Reads where one user stands on several boards of a namespace, and their balances.
--
-- KEYS     balances, meta, boards
-- ARGV     user
-- Reply    {epoch, seq, balances {field, value, …}, total | false, score, users better, users not better, next score
--          above | false, …}: five a board, total false where the user is not on it; {'unopened'} where meta is gone
-- Effects  none

local balances_key, meta_key, user = KEYS[1], KEYS[2], ARGV[1]

local head = redis.call('HMGET', meta_key, 'epoch', 'seq')
if not (head[1] and head[2]) then
  return { 'unopened' }
end
local reply = { head[1], head[2], redis.call('HGETALL', balances_key) }
for i = 3, #KEYS do
  local score, n = redis.call('ZSCORE', KEYS[i], user), #reply
  if score then
    local total = redis.call('ZCARD', KEYS[i])
    local better = redis.call('ZCOUNT', KEYS[i], '(' .. score, '+inf')
    local above = redis.call('ZRANGEBYSCORE', KEYS[i], '(' .. score, '+inf', 'WITHSCORES', 'LIMIT', 0, 1)
    reply[n + 1], reply[n + 2], reply[n + 3], reply[n + 4] = total, score, better, total - better
    reply[n + 5] = above[2] or false
  else
    for column = 1, 5 do
      reply[n + column] = false
    end
  end
end
return reply
