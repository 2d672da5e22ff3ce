-- Deduplication: the ids that this partition has counted, each with the digest of its content and its place. A
-- correction with an Idempotency-Key also claims the key: that is an id of its own, and its digest is the request's.
-- A value is 16 bytes of digest and `<epoch>-<seq>`. Ids stand in generations, one hash each.
--
--- @include "include/replies"

local call, format, match, sub = redis.call, string.format, string.match, string.sub

-- The values of ids, by their index in `ids`; or nil and a refusal.
local function read(dedup_keys, ids)
  local values = {}
  for _, key in ipairs(dedup_keys) do
    local reply, err = replies.try('HMGET', key, unpack(ids))
    if not reply then
      return nil, { 'corrupt', key .. ': ' .. err }
    end
    for i = 1, #ids do
      values[i] = values[i] or reply[i]
    end
  end
  return values
end

-- The epoch and seq of a value; nil where its digest is another.
local function place_if_same(value, digest)
  if sub(value, 1, 16) ~= digest then
    return nil
  end
  local epoch, seq = match(value, '^(%d+)-(%d+)$', 17)
  return tonumber(epoch), tonumber(seq)
end

-- Frees the ids of a correction that is taken back. claim: `<epoch>-<seq>` of the correction, a space, and its ids of 16
-- bytes each. An id that another entry has claimed since then stays.
local function free(dedup_keys, claim)
  local place, ids = match(claim, '^(%d+%-%d+) (.*)$')
  for first = 1, #(ids or ''), 16 do
    local id = sub(ids, first, first + 15)
    for _, key in ipairs(dedup_keys) do
      local value = call('HGET', key, id)
      if value and sub(value, 17) == place then
        call('HDEL', key, id)
      end
    end
  end
end

-- The code, the score and the previous score (false: none) that the log recorded for an entry.
local function read_outcome(log_key, epoch, seq)
  local place = format('%d-%d', epoch, seq)
  local entries = call('XRANGE', log_key, place, place)
  local score, previous, mark = match(entries[1] and entries[1][2][6] or '', '^%d+ (-?%d*) (-?%d*)( ?q?)$')
  return mark == ' q' and 'quarantined' or 'applied', tonumber(score) or false, tonumber(previous) or false
end

return { read = read, place_if_same = place_if_same, free = free, read_outcome = read_outcome }
