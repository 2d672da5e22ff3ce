-- The lost-tail check: does this log still hold what the caller knows was acknowledged?
--
--- @include "include/partition_head"
--- @include "include/replies"

local format, match = string.format, string.match

-- nil, or a refusal. `known` is `<epoch>-<seq>`, `digest` the content digest of that entry.
local function find_loss(log_key, head, known, digest)
  local epoch, seq = match(known, '^(%d+)-(%d+)$')
  epoch, seq = tonumber(epoch), tonumber(seq)
  if partition_head.is_after(epoch, seq, head.epoch, head.seq) then
    return { 'lost_tail', format('%s is acknowledged, the log ends at %d-%d', known, head.epoch, head.seq) }
  end
  local found, err = replies.try('XRANGE', log_key, known, known)
  if not found then
    return { 'corrupt', log_key .. ': ' .. err }
  end
  if found[1] then
    if found[1][2][2] ~= digest then
      return { 'lost_tail', known .. ' holds another entry' }
    end
  elseif partition_head.is_after(epoch, seq, head.flushed_epoch, head.flushed_seq) then
    return { 'lost_tail', known .. ' is neither in the log nor flushed' }
  end
  return nil
end

return { find_loss = find_loss }
