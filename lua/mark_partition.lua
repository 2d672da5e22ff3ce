-- Marks a partition as one that was compared with the ledger since this Redis started, and begins a new epoch in it.
--
-- KEYS     meta
-- ARGV     who this Redis is; epoch and seq with which the ledger was compared; the new epoch; the note
--          of the deployment's state that is published here, "<version> <token>"
-- Reply    1 marked; 0 it bears the mark already, is closed, or is not where the caller saw it
-- Effects  meta: the mark, the epoch with the seq behind which it begins, and the note
--
--- @include "include/fields"
--- @include "include/partition_head"

local meta_key, server, epoch, seq = KEYS[1], ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
local new_epoch, state_note = ARGV[4], ARGV[5]

local head = partition_head.read(meta_key)
if not head or head.epoch ~= epoch or head.seq ~= seq or tonumber(new_epoch) <= epoch then
  return 0
end
if redis.call('HGET', meta_key, fields.CHECKED) == server then
  return 0
end
-- The entry of a rebuild stands where one may have stood that was acknowledged and is lost.
local begins_after = redis.call('HGET', meta_key, fields.REBUILT) == ARGV[3] and seq - 1 or seq
redis.call('HSET', meta_key, fields.CHECKED, server, fields.EPOCH, new_epoch, fields.EPOCH_BEGINS_AFTER, begins_after,
  fields.STATE_VERSION, state_note)
return 1
