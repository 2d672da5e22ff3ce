-- Records how far the ledger is, and trims the log behind that.
--
-- KEYS     meta, log
-- ARGV     epoch and seq that the ledger has, epoch and seq of the oldest entry to keep (0, 0: trim nothing), most entries that
--          the log may hold as long as the ledger has the others (0: no limit)
-- Reply    1 done; 0 refused: another epoch, or beyond the log's end
-- Effects  entries before the oldest to keep leave the log, and those that are too many; while Redis is short of memory, all
--          that the ledger has but the last. None goes that is behind what was recorded before this call, or behind what the
--          ledger has now; the recorded place only rises
--
--- @include "include/fields"
--- @include "include/memory"
--- @include "include/partition_head"

local meta_key, log_key = KEYS[1], KEYS[2]
local epoch, seq, keep_epoch, keep_seq = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local entries_max = tonumber(ARGV[5])

local head = partition_head.read(meta_key)
if not head or epoch > head.epoch or partition_head.is_after(epoch, seq, head.epoch, head.seq) then
  return 0
end
memory.allow_writes(meta_key)
local flushed_epoch, flushed_seq = head.flushed_epoch, head.flushed_seq
-- Trims by what was recorded before: so nothing is lost if the new place cannot be written. A ledger that is behind that is an
-- older one: it gets the rest from this log.
local has_epoch, has_seq = flushed_epoch, flushed_seq
if partition_head.is_after(has_epoch, has_seq, epoch, seq) then
  has_epoch, has_seq = epoch, seq
end
if memory.is_short() or partition_head.is_after(keep_epoch, keep_seq, has_epoch, has_seq) then
  keep_epoch, keep_seq = has_epoch, has_seq
end
if keep_seq > 0 then
  redis.call('XTRIM', log_key, 'MINID', string.format('%d-%d', keep_epoch, keep_seq))
end
if entries_max > 0 then
  redis.call('XTRIM', log_key, 'MAXLEN', math.max(entries_max, head.seq - has_seq + 1))
end
if partition_head.is_after(epoch, seq, flushed_epoch, flushed_seq) then
  redis.call('HSET', meta_key, fields.FLUSHED, string.format('%d-%d', epoch, seq))
end
return 1
