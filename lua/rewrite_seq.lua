-- Writes the seq of a partition again, as it is: WAIT behind it, on the same connection, covers all entries so far.
--
-- KEYS     meta
-- ARGV     none
-- Reply    epoch and seq; or `unopened` or `corrupt`, and what is wrong
-- Effects  none that change a value; the write reaches the append-only file and the replicas
--
--- @include "include/fields"
--- @include "include/memory"
--- @include "include/partition_head"

local meta_key = KEYS[1]

local head, refusal = partition_head.read(meta_key)
if not head then
  return refusal
end
memory.allow_writes(meta_key)
redis.call('HINCRBY', meta_key, fields.SEQ, 0)
return { head.epoch, head.seq }
