-- Checks that the log still has the entry that the caller knows to be acknowledged. A Redis that came back without its
-- last entries does not have it, and must take no further ones.
--
--- @include "include/partition_head"
--- @include "include/replies"

local format, match, is_after = string.format, string.match, partition_head.is_after

-- nil, or a refusal. known: `<epoch>-<seq>` of the last acknowledged entry; digest: the digest of its content.
local function find_loss(log_key, head, known, digest)
  local epoch, seq = match(known, '^(%d+)-(%d+)$')
  epoch, seq = tonumber(epoch), tonumber(seq)
  if is_after(epoch, seq, head.epoch, head.seq) then
    return { 'lost_tail', format('%s is acknowledged, the log ends at %d-%d', known, head.epoch, head.seq) }
  end
  local entries, err = replies.try('XRANGE', log_key, known, known)
  if not entries then
    return { 'corrupt', log_key .. ': ' .. err }
  end
  if entries[1] then
    if entries[1][2][2] ~= digest then
      return { 'lost_tail', known .. ' holds another entry' }
    end
  elseif epoch < head.epoch and seq > head.begins_after then
    return { 'lost_tail', format('%s is acknowledged, epoch %d began behind seq %d', known, head.epoch, head.begins_after) }
  elseif is_after(epoch, seq, head.flushed_epoch, head.flushed_seq) then
    return { 'lost_tail', known .. ' is neither in the log nor flushed' }
  end
  return nil
end

return { find_loss = find_loss }
