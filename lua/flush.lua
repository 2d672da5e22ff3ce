-- Tells a partition how far its log is in the ledger, and trims the log behind that.
--
-- KEYS     meta, log
-- ARGV     epoch, seq flushed, epoch and seq of the oldest entry to keep (0, 0: trim nothing)
-- Reply    1 done, 0 refused: another epoch, or beyond the log's end
-- Effects  flushed only rises; entries before the oldest to keep are dropped, never one that is not flushed
--
--- @include "include/call"
--- @include "include/head"

local meta_key, log_key = KEYS[1], KEYS[2]
local epoch, seq, keep_epoch, keep_seq = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])

local head = read_head(meta_key)
if not head or epoch > head.epoch or is_after(epoch, seq, head.epoch, head.seq) then
  return 0
end
if is_after(epoch, seq, head.flushed_epoch, head.flushed_seq) then
  call('HSET', meta_key, 'flushed', format('%d-%d', epoch, seq))
end
if keep_seq > 0 and not is_after(keep_epoch, keep_seq, epoch, seq) then
  call('XTRIM', log_key, 'MINID', format('%d-%d', keep_epoch, keep_seq))
end
return 1
