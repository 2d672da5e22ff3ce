-- The head of a partition: where its log ends, what the ledger holds of it, and which dedup generations exist.
--
--- @include "include/fields"
--- @include "include/replies"

local match, integer = string.match, replies.integer

-- {epoch, seq, clock, flushed_epoch, flushed_seq, generations, has_hidden, begins_after}; or nil and a refusal. begins_after: the
-- seq behind which the epoch began.
local function read(meta_key)
  local values, err = replies.try('HMGET', meta_key, fields.EPOCH, fields.SEQ, fields.CLOCK, fields.FLUSHED,
    fields.GENERATIONS, fields.HAS_HIDDEN, fields.CLOSED, fields.EPOCH_BEGINS_AFTER)
  if not values then
    return nil, { 'corrupt', meta_key .. ': ' .. err }
  end
  if values[7] then
    return nil, { 'closed', values[7] }
  end
  if not (values[1] and values[2]) then
    return nil, { 'unopened', meta_key }
  end
  local flushed_epoch, flushed_seq = match(values[4] or '', '^(%d+)-(%d+)$')
  local head = {
    epoch = integer(values[1]), seq = integer(values[2]), clock = integer(values[3], 0),
    flushed_epoch = tonumber(flushed_epoch), flushed_seq = tonumber(flushed_seq), generations = values[5],
    has_hidden = values[6], begins_after = integer(values[8], 0),
  }
  if not (head.epoch and head.seq and head.clock and head.flushed_seq and head.generations and head.begins_after) then
    return nil, { 'corrupt', meta_key .. ': a field is not what it should be' }
  end
  return head
end

-- Whether place (epoch, seq) a is after b.
local function is_after(epoch_a, seq_a, epoch_b, seq_b)
  return epoch_a > epoch_b or (epoch_a == epoch_b and seq_a > seq_b)
end

return { read = read, is_after = is_after }
