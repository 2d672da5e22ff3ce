-- Reads of many users of a namespace when their scores last changed, and on which days they have live grants.
--
-- KEYS     meta, balances of each user; then, where the days are wanted, days of each user
-- ARGV     whether the days are wanted (0|1)
-- Reply    {{changed at (µs) | false, stretch, its days, …}, …}: one a user, in order; {'unopened'} where meta is gone
-- Effects  none

local with_days = ARGV[1] == '1'
local count = with_days and (#KEYS - 1) / 2 or #KEYS - 1

if not redis.call('HGET', KEYS[1], 'epoch') then
  return { 'unopened' }
end
local reply = {}
for i = 1, count do
  local told = with_days and redis.call('HGETALL', KEYS[1 + count + i]) or {}
  table.insert(told, 1, redis.call('HGET', KEYS[1 + i], 'at'))
  reply[i] = told
end
return reply
