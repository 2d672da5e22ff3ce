-- The first part of every read of a board: where the board is, and its version.
--
--- @include "include/fields"
--- @include "include/windows"

local call = redis.call

-- {epoch, seq, version}; or nil and the reply that says why the board cannot be read here.
local function read(meta_key, namespace_key, board)
  local head = call('HMGET', meta_key, fields.EPOCH, fields.SEQ)
  if not (head[1] and head[2]) then
    return nil, { 'unopened' }
  end
  local version, state = unpack(
    call('HMGET', namespace_key, fields.BOARD_VERSION .. board, fields.WINDOW_STATE .. windows.window_of(board)))
  local archived = windows.archived_version(state, version)
  if archived then
    return nil, { 'archived', head[1], archived }
  end
  return { head[1], head[2], version or '0' }
end

-- A counter of ranks (include/ranks), and the reply up to its first row; or nil and the reply that says why the board cannot
-- be read here. keys: board, namespace, meta, prefixes, distinct scores; args: board, ranking, tie-break, whether distinct
-- scores are kept.
local function start_reply(keys, args)
  local header, refusal = read(keys[3], keys[2], args[1])
  if refusal then
    return nil, refusal
  end
  local size = call('ZCARD', keys[1])
  local counter = { board_key = keys[1], scores_key = keys[5], ranking = args[2], has_scores = args[4] == '1', size = size }
  return counter, { header[1], header[2], header[3], size, size, false, false }
end

return { read = read, start_reply = start_reply }
