-- Reads the versions of many boards of one partition: what a watcher asks before it reads a board again.
--
-- KEYS     meta, spaces
-- ARGV     for each space: how many windows, their names
-- Reply    {epoch, version, …}: one version a window, in order, 0 for an empty board and -1 where the space cannot be
--          read (reading the board tells why); {'unopened'} where meta is gone
-- Effects  none
--
--- @include "include/windows"

local epoch = redis.call('HGET', KEYS[1], 'epoch')
if not epoch then
  return { 'unopened' }
end
local reply, at = { epoch }, 1
for i = 2, #KEYS do
  local fields, first = {}, at + 1
  at = first + tonumber(ARGV[at])
  for n = first, at - 1 do
    fields[#fields + 1], fields[#fields + 2] = 'v:' .. ARGV[n], 'x:' .. windows.window_of(ARGV[n])
  end
  local found = redis.pcall('HMGET', KEYS[i], unpack(fields))
  for n = 1, #fields, 2 do
    reply[#reply + 1] = found.err and '-1' or windows.archived_version(found[n + 1], found[n]) or found[n] or '0'
  end
end
return reply
