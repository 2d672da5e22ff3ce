-- Idempotency: which ids this partition has counted, with what content, at which seq. A correction with an Idempotency-Key
-- also claims the key: an id of its own, whose content is what was asked.
--
--- @include "include/replies"

local call, format, match, sub = redis.call, string.format, string.match, string.sub

-- By position in `ids`: content digest .. "<epoch>-<seq>" where counted; or nil and a refusal.
local function read(seen_keys, ids)
  local seen = {}
  for _, key in ipairs(seen_keys) do
    local hits, err = replies.try('HMGET', key, unpack(ids))
    if not hits then
      return nil, { 'corrupt', key .. ': ' .. err }
    end
    for i = 1, #ids do
      seen[i] = seen[i] or hits[i]
    end
  end
  return seen
end

-- epoch, seq of what was counted, or nil where its content is another.
local function position_if_same(value, content)
  if sub(value, 1, 16) ~= content then
    return nil
  end
  local epoch, seq = match(value, '^(%d+)-(%d+)$', 17)
  return tonumber(epoch), tonumber(seq)
end

-- What takes a correction off the boards frees what it had claimed, in whichever generation: its revision, and its key.
-- freed: "<epoch>-<seq>" of that correction, a space, and the ids, 16 bytes each; an id that another entry has claimed by
-- now stays.
local function free(seen_keys, freed)
  local place, ids = match(freed, '^(%d+%-%d+) (.*)$')
  for first = 1, #(ids or ''), 16 do
    local id = sub(ids, first, first + 15)
    for _, key in ipairs(seen_keys) do
      local held = call('HGET', key, id)
      if held and sub(held, 17) == place then
        call('HDEL', key, id)
      end
    end
  end
end

-- The code, score and previous score (false: none) that the log recorded for an entry of the caller's own resend.
local function read_outcome(log_key, epoch, seq)
  local id = format('%d-%d', epoch, seq)
  local found = call('XRANGE', log_key, id, id)
  local score, previous, mark = match(found[1] and found[1][2][6] or '', '^%d+ (-?%d*) (-?%d*)( ?q?)$')
  return mark == ' q' and 'quarantined' or 'applied', tonumber(score) or false, tonumber(previous) or false
end

return { read = read, position_if_same = position_if_same, free = free, read_outcome = read_outcome }
