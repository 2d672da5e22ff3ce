-- Creates the head of a partition that has none.
--
-- KEYS     meta
-- ARGV     format, who this Redis is, the note of the deployment's state, "<version> <token>"
-- Reply    1 created; 0 there already
-- Effects  meta: epoch 1, seq 0, the mark of a Redis that lacks nothing of the ledger, and the first dedup generation, which is
--          complete from the beginning (0)
--
--- @include "include/fields"

local meta_key, layout, server, state_note = KEYS[1], ARGV[1], ARGV[2], ARGV[3]

if redis.call('HEXISTS', meta_key, fields.EPOCH) == 1 then
  return 0
end
local now = redis.call('TIME')
redis.call('HSET', meta_key, fields.EPOCH, 1, fields.SEQ, 0, fields.CLOCK, 0, fields.FLUSHED, '0-0', fields.GENERATIONS, '1',
  fields.COMPLETE_SINCE .. '1', 0, fields.NEWEST_BEGAN, now[1] .. '000000', fields.FORMAT, layout, fields.CHECKED, server,
  fields.STATE_VERSION, state_note)
return 1
