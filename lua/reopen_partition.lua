-- Opens a partition that is closed for one reason, or tells another reason for which it stays closed; what closed it
-- meanwhile stays.
--
-- KEYS     meta
-- ARGV     the reason; the other one, or nothing
-- Reply    1 done; 0 it is not closed, or for a third reason
-- Effects  meta: the reason goes, or the other one takes its place
--
--- @include "include/fields"

local meta_key, reason, other = KEYS[1], ARGV[1], ARGV[2]

if redis.call('HGET', meta_key, fields.CLOSED) ~= reason then
  return 0
end
if other ~= '' then
  redis.call('HSET', meta_key, fields.CLOSED, other)
  return 1
end
return redis.call('HDEL', meta_key, fields.CLOSED)
