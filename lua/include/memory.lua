-- Redis' memory (maxmemory): how full it is, and how to write while it is full. A full Redis refuses commands that may need
-- memory, but not in a script that has written before. So scripts that free memory begin with a write that needs none: what
-- they have to record is then accepted.
--
--- @lazy

local format, match, MIB = string.format, string.match, 1048576
-- The log keeps no entry that the ledger has once so much of maxmemory is used: there is still room for grants until it is
-- trimmed.
local SHORT_FRACTION = 0.9

-- Changes nothing: the name of a user or of a namespace, and so a field of the hash, is never empty.
local function allow_writes(key)
  redis.call('HDEL', key, '')
end

-- Bytes in use and maxmemory; nil where there is no maxmemory, or where it cannot be read.
local function read_use()
  local info = redis.pcall('INFO', 'memory')
  local used = type(info) == 'string' and tonumber(match(info, 'used_memory:(%d+)'))
  local max = used and tonumber(match(info, 'maxmemory:(%d+)')) or 0
  if max > 0 then
    return used, max
  end
  return nil
end

-- Whether memory is so short that whatever the ledger has should go. O(1).
local function is_short()
  local used, max = read_use()
  return used ~= nil and used >= SHORT_FRACTION * max
end

-- The refusal for the error of a write: with the numbers by which Redis is full, where it is.
local function refusal(err)
  local used, max = nil, nil
  if string.find(err, 'OOM', 1, true) then
    used, max = read_use()
  end
  if not used then
    return { 'unwritable', err }
  end
  return { 'unwritable', format('Redis is full: it uses %.1f MiB, its maxmemory is %.1f MiB; raise maxmemory, or delete what '
    .. 'is no longer needed', used / MIB, max / MIB) }
end

return { allow_writes = allow_writes, is_short = is_short, refusal = refusal }
