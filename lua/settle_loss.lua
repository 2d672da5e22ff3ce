-- Opens a partition that is closed, in a new epoch: what was acknowledged before and is not there is given up.
--
-- KEYS     meta
-- ARGV     why it is closed; its epoch and seq; the new epoch
-- Reply    1 opened; 0 it is not closed for this reason, or not where the caller saw it
-- Effects  meta: the reason goes; the epoch, the seq behind which it begins, and that what was lost before it is settled
--
--- @include "include/fields"

local meta_key, reason, epoch, seq, new_epoch = KEYS[1], ARGV[1], ARGV[2], ARGV[3], ARGV[4]

local values = redis.call('HMGET', meta_key, fields.CLOSED, fields.EPOCH, fields.SEQ)
if values[1] ~= reason or values[2] ~= epoch or values[3] ~= seq then
  return 0
end
redis.call('HSET', meta_key, fields.EPOCH, new_epoch, fields.EPOCH_BEGINS_AFTER, seq, fields.RECOVERED, new_epoch)
redis.call('HDEL', meta_key, fields.CLOSED)
return 1
