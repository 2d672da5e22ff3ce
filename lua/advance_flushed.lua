-- Trims a partition's log behind what is in the ledger, and records how far the ledger is.
--
-- KEYS     meta, log
-- ARGV     epoch, seq flushed, epoch and seq of the oldest entry to keep (0, 0: trim nothing)
-- Reply    1 done, 0 refused: another epoch, or beyond the log's end
-- Effects  entries before the oldest to keep are dropped, never one behind what was recorded as flushed before this call;
--          flushed only rises
--
--- @include "include/memory"
--- @include "include/partition_head"

local call, format = redis.call, string.format
local meta_key, log_key = KEYS[1], KEYS[2]
local epoch, seq, keep_epoch, keep_seq = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])

local head = partition_head.read(meta_key)
if not head or epoch > head.epoch or partition_head.is_after(epoch, seq, head.epoch, head.seq) then
  return 0
end
memory.allow_writes(meta_key)
-- Trimmed is what was flushed before, so that no harm is done where `flushed` cannot be written after all.
if partition_head.is_after(keep_epoch, keep_seq, head.flushed_epoch, head.flushed_seq) then
  keep_epoch, keep_seq = head.flushed_epoch, head.flushed_seq
end
if keep_seq > 0 then
  call('XTRIM', log_key, 'MINID', format('%d-%d', keep_epoch, keep_seq))
end
if partition_head.is_after(epoch, seq, head.flushed_epoch, head.flushed_seq) then
  call('HSET', meta_key, 'flushed', format('%d-%d', epoch, seq))
end
return 1
