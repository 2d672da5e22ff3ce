-- Forgets what a namespace keeps of a user who left its boards: their balances and days.
--
-- KEYS     the user's balances, their days, the namespace's hash
-- ARGV     none
-- Reply    1 forgotten, 0 there was nothing
-- Effects  balances and days are gone; the namespace has one user fewer (`#u`), where it counts them

local balances_key, days_key, namespace_key = KEYS[1], KEYS[2], KEYS[3]
redis.call('UNLINK', days_key)
if redis.call('UNLINK', balances_key) == 0 then
  return 0
end
local users = tonumber(redis.call('HGET', namespace_key, '#u') or '0')
if users > 0 then
  redis.call('HSET', namespace_key, '#u', users - 1)
end
return 1
