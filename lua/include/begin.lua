-- What a read of a board's entries begins with.

-- A counter of its ranks, and the reply before its entries; or nil and the reply that says why it is not read here.
-- keys: board, space, meta, orders, scores; args: window, ranking, tie-break, whether scores are kept.
local function begin(keys, args)
  local stand, refusal = stand_of(keys[3], keys[2], args[1])
  if refusal then
    return nil, refusal
  end
  local total = redis.call('ZCARD', keys[1])
  local counter = { board_key = keys[1], scores_key = keys[5], ranking = args[2], kept = args[4] == '1', total = total }
  return counter, { stand[1], stand[2], stand[3], total, total, false, false }
end
