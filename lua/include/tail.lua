-- The lost-tail check: does this log still hold what the caller knows was acknowledged?

-- nil, or a refusal. `known` is `<epoch>-<seq>`, `digest` the content digest of that entry.
local function lost_tail(log_key, head, known, digest)
  local epoch, seq = match(known, '^(%d+)-(%d+)$')
  epoch, seq = tonumber(epoch), tonumber(seq)
  if is_after(epoch, seq, head.epoch, head.seq) then
    return { 'lost_tail', format('%s is acknowledged, the log ends at %d-%d', known, head.epoch, head.seq) }
  end
  local found, err = try('XRANGE', log_key, known, known)
  if not found then
    return { 'corrupt', log_key .. ': ' .. err }
  end
  if found[1] then
    if found[1][2][2] ~= digest then
      return { 'lost_tail', known .. ' holds another entry' }
    end
  elseif is_after(epoch, seq, head.flushed_epoch, head.flushed_seq) then
    return { 'lost_tail', known .. ' is neither in the log nor flushed' }
  end
  return nil
end
