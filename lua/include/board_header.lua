-- What a read of a board's entries begins with.
--
--- @include "include/windows"

-- {epoch, seq, version}, or nil and the reply that says why the board is not read here.
local function read(meta_key, namespace_key, board)
  local head = redis.call('HMGET', meta_key, 'epoch', 'seq')
  if not (head[1] and head[2]) then
    return nil, { 'unopened' }
  end
  local held = redis.call('HMGET', namespace_key, 'v:' .. board, 'x:' .. windows.window_of(board))
  local version = windows.archived_version(held[2], held[1])
  if version then
    return nil, { 'archived', head[1], version }
  end
  return { head[1], head[2], held[1] or '0' }
end

-- A counter of its ranks, and the reply before its entries; or nil and the reply that says why it is not read here.
-- keys: board, space, meta, orders, scores; args: window, ranking, tie-break, whether scores are kept.
local function start_reply(keys, args)
  local stand, refusal = read(keys[3], keys[2], args[1])
  if refusal then
    return nil, refusal
  end
  local total = redis.call('ZCARD', keys[1])
  local counter = { board_key = keys[1], scores_key = keys[5], ranking = args[2], kept = args[4] == '1', total = total }
  return counter, { stand[1], stand[2], stand[3], total, total, false, false }
end

return { read = read, start_reply = start_reply }
