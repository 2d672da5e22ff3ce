-- The head of a partition: where its log stands and which seen generations it keeps.
--
--- @include "include/replies"

local match = string.match

-- {epoch, seq, at, flushed_epoch, flushed_seq, generations, veils}, or nil and a refusal.
local function read(meta_key)
  local raw, err = replies.try('HMGET', meta_key, 'epoch', 'seq', 'at', 'flushed', 'generations', 'veils')
  if not raw then
    return nil, { 'corrupt', meta_key .. ': ' .. err }
  end
  if not (raw[1] and raw[2]) then
    return nil, { 'unopened', meta_key }
  end
  local flushed_epoch, flushed_seq = match(raw[4] or '', '^(%d+)-(%d+)$')
  local head = {
    epoch = replies.integer(raw[1]), seq = replies.integer(raw[2]), at = replies.integer(raw[3], 0),
    flushed_epoch = tonumber(flushed_epoch), flushed_seq = tonumber(flushed_seq), generations = raw[5],
    veils = raw[6],
  }
  if not (head.epoch and head.seq and head.at and head.flushed_seq and head.generations) then
    return nil, { 'corrupt', meta_key .. ': a field is not what it should be' }
  end
  return head
end

-- Whether (epoch, seq) a comes after b.
local function is_after(epoch_a, seq_a, epoch_b, seq_b)
  return epoch_a > epoch_b or (epoch_a == epoch_b and seq_a > seq_b)
end

return { read = read, is_after = is_after }
