-- Opens a partition that is closed for one reason; what closed it meanwhile for another one stays.
--
-- KEYS     meta
-- ARGV     the reason
-- Reply    1 opened; 0 it is not closed, or for another reason
-- Effects  meta: the reason goes
--
--- @include "include/fields"

local meta_key, reason = KEYS[1], ARGV[1]

if redis.call('HGET', meta_key, fields.CLOSED) ~= reason then
  return 0
end
return redis.call('HDEL', meta_key, fields.CLOSED)
