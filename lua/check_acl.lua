-- Tries each command that the scripts use, on each kind of key, so that an ACL which denies one is found before a grant is.
--
-- KEYS     log, meta, rules, hidden users, dedup generation 0; a board, balances, hash, hidden users and days of namespace 0
--          (no namespace has that id)
-- ARGV     none
-- Reply    'ok'; or the command, the key and the error of the first that is refused
-- Effects  none that stay: real keys are not changed, those of generation 0 and namespace 0 are deleted

local log_key, meta_key, rules_key, hidden_key, dedup_key, board_key, user_key, namespace_key = unpack(KEYS)
local days_key = KEYS[10]
local commands = {
  -- First deletes what an earlier run left when it was refused half-way.
  { 'DEL', dedup_key }, { 'DEL', board_key }, { 'DEL', user_key }, { 'DEL', namespace_key }, { 'DEL', days_key },
  { 'XRANGE', log_key, '0-1', '0-1' }, { 'XTRIM', log_key, 'MINID', '0-0' }, { 'XADD', dedup_key, '0-1', 'd', '' },
  { 'DEL', dedup_key }, { 'HMGET', meta_key, 'probe' }, { 'HDEL', meta_key, 'probe' }, { 'HSETNX', dedup_key, '0', '0' },
  { 'DEL', dedup_key }, { 'HMGET', rules_key, '0' },
  { 'HMGET', hidden_key, '' }, { 'HDEL', hidden_key, '' }, { 'HMGET', dedup_key, '0' }, { 'HSET', dedup_key, '0', '0' },
  { 'ZADD', board_key, 0, 'probe' }, { 'ZMSCORE', board_key, 'probe' }, { 'ZREM', board_key, 'probe' },
  { 'HSET', user_key, 'probe', 0 }, { 'HMGET', user_key, 'probe' }, { 'HDEL', user_key, 'probe' },
  { 'HSET', days_key, '0', '' }, { 'HMGET', days_key, '0' }, { 'HDEL', days_key, '0' },
  { 'HSET', namespace_key, 'probe', 0 }, { 'HMGET', namespace_key, 'probe' }, { 'HGET', namespace_key, 'probe' },
  { 'HKEYS', namespace_key }, { 'HLEN', rules_key }, { 'ZCARD', board_key }, { 'TIME' },
  { 'DEL', dedup_key }, { 'DEL', board_key }, { 'DEL', user_key }, { 'DEL', namespace_key },
}
for _, command in ipairs(commands) do
  local reply = redis.pcall(unpack(command))
  if type(reply) == 'table' and reply.err then
    return command[1] .. ' on ' .. (command[2] or 'no key') .. ': ' .. tostring(reply.err)
  end
end
return 'ok'
