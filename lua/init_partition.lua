-- Creates a partition's head unless it has one.
--
-- KEYS     meta
-- ARGV     format
-- Reply    1 created, 0 there already
-- Effects  meta: epoch 1, seq 0, the first seen generation, kept since ever

local meta_key, form = KEYS[1], ARGV[1]
if redis.call('HEXISTS', meta_key, 'epoch') == 1 then
  return 0
end
local now = redis.call('TIME')
redis.call('HSET', meta_key, 'epoch', 1, 'seq', 0, 'at', 0, 'flushed', '0-0', 'generations', '1', 'g:1', 0,
  'began', now[1] .. string.rep('0', 6), 'format', form)
return 1
