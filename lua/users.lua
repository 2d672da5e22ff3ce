-- Reads of many users of a namespace when their scores last changed, and on which days they have live grants.
--
-- KEYS     meta, balances of each user
-- ARGV     whether the days are wanted (0|1)
-- Reply    {{changed at (µs) | false, day, …}, …}: one a user, in order; {'unopened'} where meta is gone
-- Effects  none

local with_days = ARGV[1] == '1'

if not redis.call('HGET', KEYS[1], 'epoch') then
  return { 'unopened' }
end
local reply = {}
for i = 2, #KEYS do
  local told = { redis.call('HGET', KEYS[i], 'at') }
  local held = with_days and redis.call('HGETALL', KEYS[i]) or {}
  for n = 1, #held, 2 do
    if string.sub(held[n], 1, 2) == 'd:' and tonumber(held[n + 1]) > 0 then
      told[#told + 1] = string.sub(held[n], 3)
    end
  end
  reply[i - 1] = told
end
return reply
