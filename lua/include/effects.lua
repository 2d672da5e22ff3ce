-- What an applied entry does to the tables that are written afterwards.

local function add_balance(space, held, label, amount)
  if label ~= '' then
    held[label] = (held[label] or 0) + amount
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
  held.total = (held.total or 0) + amount
  held.count = (held.count or 0) + entry.weight
  if not held.last or granted_at > held.last then
    held.last = granted_at
  end
  add_balance(target.space, held, entry.category, amount)
  add_balance(target.space, held, entry.source, amount)
  user.touched = true
  return boards[1].scores[number], previous
end
