-- Tries every command that the scripts use on every kind of key, so that a denying ACL is met before a grant is.
--
-- KEYS     log, meta, rules, hidden users, seen generation 0; a board, balances, space, hidden users and days of namespace
--          0 (no namespace has that id)
-- ARGV     none
-- Reply    'ok', or the command, key and error of the first that is refused
-- Effects  none that stay: real keys are read and written to no effect, those of generation and namespace 0 are removed

local log_key, meta_key, rules_key, hidden_key, seen_key, board_key, user_key, namespace_key = unpack(KEYS)
local days_key = KEYS[10]
local tries = {
  -- First what an earlier probe left that was refused half-way.
  { 'DEL', seen_key }, { 'DEL', board_key }, { 'DEL', user_key }, { 'DEL', namespace_key }, { 'DEL', days_key },
  { 'XRANGE', log_key, '0-1', '0-1' }, { 'XTRIM', log_key, 'MINID', '0-0' }, { 'XADD', seen_key, '0-1', 'd', '' },
  { 'DEL', seen_key }, { 'HMGET', meta_key, 'epoch' }, { 'HDEL', meta_key, 'probe' }, { 'HSETNX', seen_key, '0', '0' },
  { 'DEL', seen_key }, { 'HMGET', rules_key, '0' },
  { 'HMGET', hidden_key, '' }, { 'HDEL', hidden_key, '' }, { 'HMGET', seen_key, '0' }, { 'HSET', seen_key, '0', '0' }, { 'ZADD', board_key, 0, 'probe' },
  { 'ZMSCORE', board_key, 'probe' }, { 'ZREM', board_key, 'probe' }, { 'HSET', user_key, 'total', 0 },
  { 'HMGET', user_key, 'total' }, { 'HDEL', user_key, 'total' },
  { 'HSET', days_key, '0', '' }, { 'HMGET', days_key, '0' }, { 'HDEL', days_key, '0' },
  { 'HSET', namespace_key, '#c', 0 }, { 'HMGET', namespace_key, '#c' }, { 'HGET', namespace_key, '#c' },
  { 'HKEYS', namespace_key }, { 'HLEN', rules_key }, { 'ZCARD', board_key }, { 'TIME' },
  { 'DEL', seen_key }, { 'DEL', board_key }, { 'DEL', user_key }, { 'DEL', namespace_key },
}
for _, command in ipairs(tries) do
  local reply = redis.pcall(unpack(command))
  if type(reply) == 'table' and reply.err then
    return command[1] .. ' on ' .. (command[2] or 'no key') .. ': ' .. tostring(reply.err)
  end
end
return 'ok'
