-- What an applied entry does to the tables that are written afterwards.

local function add_balance(space, user, label, amount)
  local at = user.at[label]
  if at then
    user.held[at] = (user.held[at] or 0) + amount
    add_label(space, label)
  end
end

-- The score on the `all` board after the entry, and before it (false: none).
local function take_effect(entry, seq)
  local target, user, amount, granted_at = entry.target, entry.user, entry.amount, entry.granted_at
  local boards, held, number = target.boards, user.held, user.number
  local previous = boards[1].scores[number]
  for i = 1, #boards do
    local board = boards[i]
    board.scores[number], board.version = (board.scores[number] or 0) + amount, seq
  end
  if not target.moves[number] then
    target.moves[number], target.changed[#target.changed + 1] = true, user
  end
  held[1], held[2] = (held[1] or 0) + amount, (held[2] or 0) + entry.weight
  if not held[3] or granted_at > held[3] then
    held[3] = granted_at
  end
  add_balance(target.space, user, entry.shape.category, amount)
  add_balance(target.space, user, entry.shape.source, amount)
  user.touched = true
  return boards[1].scores[number], previous
end
