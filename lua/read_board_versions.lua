-- Reads the versions of many boards of a partition. Watchers ask for them before they read a board again.
--
-- KEYS     meta, namespaces
-- ARGV     for each namespace: number of boards, their names
-- Reply    {epoch, version, …}: one for each board, in order; 0 for an empty board, -1 where the namespace cannot be read
--          (reading the board says why). {'unopened'} where meta is lost
-- Effects  none
--
--- @include "include/fields"
--- @include "include/windows"

local epoch = redis.call('HGET', KEYS[1], fields.EPOCH)
if not epoch then
  return { 'unopened' }
end
local reply, at = { epoch }, 1
for i = 2, #KEYS do
  local names, first = {}, at + 1
  at = first + tonumber(ARGV[at])
  for n = first, at - 1 do
    names[#names + 1] = fields.BOARD_VERSION .. ARGV[n]
    names[#names + 1] = fields.WINDOW_STATE .. windows.window_of(ARGV[n])
  end
  local values = redis.pcall('HMGET', KEYS[i], unpack(names))
  for n = 1, #names, 2 do
    local version, state = values[n], values[n + 1]
    reply[#reply + 1] = values.err and '-1' or windows.archived_version(state, version) or version or '0'
  end
end
return reply
