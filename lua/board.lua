-- Reads a stretch of a board together with the version it has.
--
-- KEYS     board, space, meta
-- ARGV     window, view: 'page' offset limit | 'around' user radius | 'users' user user …
-- Reply    {epoch, seq, version, total, position, user, score, users better, …}: four an entry, in the board's order;
--          position from 1; an absent user of 'around' leaves the list empty; {'unopened'} where meta is gone
-- Effects  none

local board_key, space_key, meta_key = KEYS[1], KEYS[2], KEYS[3]
local window, view = ARGV[1], ARGV[2]

local head = redis.call('HMGET', meta_key, 'epoch', 'seq')
if not (head[1] and head[2]) then
  return { 'unopened' }
end
local version = redis.call('HGET', space_key, 'v:' .. window)
local reply = { head[1], head[2], version or '0', redis.call('ZCARD', board_key) }

local function better(score)
  return redis.call('ZCOUNT', board_key, '(' .. score, '+inf')
end

-- Entries from a position on; within the page a new score's users-better is the place where it first stands.
local function stretch(first, last)
  local found = redis.call('ZREVRANGE', board_key, first, last, 'WITHSCORES')
  local score, before
  for i = 1, #found, 2 do
    local position = first + (i + 1) / 2
    if found[i + 1] ~= score then
      before = score and position - 1 or better(found[i + 1])
      score = found[i + 1]
    end
    local n = #reply
    reply[n + 1], reply[n + 2], reply[n + 3], reply[n + 4] = position, found[i], score, before
  end
end

if view == 'page' then
  stretch(tonumber(ARGV[3]), tonumber(ARGV[3]) + tonumber(ARGV[4]) - 1)
elseif view == 'around' then
  local place = redis.call('ZREVRANK', board_key, ARGV[3])
  if place then
    stretch(math.max(0, place - tonumber(ARGV[4])), place + tonumber(ARGV[4]))
  end
else
  for i = 3, #ARGV do
    local place = redis.call('ZREVRANK', board_key, ARGV[i])
    if place then
      local score, n = redis.call('ZSCORE', board_key, ARGV[i]), #reply
      reply[n + 1], reply[n + 2], reply[n + 3], reply[n + 4] = place + 1, ARGV[i], score, better(score)
    end
  end
end
return reply
