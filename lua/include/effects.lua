-- What an applied entry does to the tables that are written afterwards.

local function add(held, field, amount)
  held[field] = (held[field] or 0) + amount
end

-- The score on the `all` board after the entry, and before it (false: none).
local function take_effect(entry, seq)
  local user, amount, boards = entry.user, entry.amount, entry.target.boards
  local held, previous = user.held, boards[1].scores[user]
  for _, board in ipairs(boards) do
    board.scores[user] = (board.scores[user] or 0) + amount
    board.version = seq
  end
  user.touched = true
  add(held, 'total', amount)
  add(held, 'count', entry.weight)
  held.last = math.max(held.last or entry.granted_at, entry.granted_at)
  for _, label in ipairs({ entry.category, entry.source }) do
    if label ~= '' then
      add(held, label, amount)
      add_label(entry.target.space, label)
    end
  end
  return boards[1].scores[user], previous
end
