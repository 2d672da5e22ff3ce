-- Deletes what a namespace keeps of a user who has left its boards: balances and days.
--
-- KEYS     the user's balances, their days, the namespace's hash
-- ARGV     none
-- Reply    1 deleted; 0 there was nothing
-- Effects  both keys; the namespace counts one user less, where it counts them
--
--- @include "include/fields"

local balances_key, days_key, namespace_key = KEYS[1], KEYS[2], KEYS[3]

redis.call('UNLINK', days_key)
if redis.call('UNLINK', balances_key) == 0 then
  return 0
end
local users = tonumber(redis.call('HGET', namespace_key, fields.USER_COUNT) or '0')
if users > 0 then
  redis.call('HSET', namespace_key, fields.USER_COUNT, users - 1)
end
return 1
