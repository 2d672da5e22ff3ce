-- Where a board stands, and at which version.

-- {epoch, seq, version}, or nil and the reply that says why the board is not read here.
local function stand_of(meta_key, space_key, board)
  local head = redis.call('HMGET', meta_key, 'epoch', 'seq')
  if not (head[1] and head[2]) then
    return nil, { 'unopened' }
  end
  local held = redis.call('HMGET', space_key, 'v:' .. board, 'x:' .. window_of(board))
  local version = archived_version(held[2], held[1])
  if version then
    return nil, { 'archived', head[1], version }
  end
  return { head[1], head[2], held[1] or '0' }
end
