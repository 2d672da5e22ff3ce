-- What an applied entry does to the tables that are written afterwards.

-- A user's digits on a board become other ones; false: the user leaves it.
local function set_digits(board, number, digits)
  if board.digits[number] ~= digits then
    board.digits[number], board.since[number] = digits, digits or NO_MOMENT
  end
end

-- Takes over what was worked out. The score on the `all` board after the entry, and before it (false: none).
local function take_effect(batch, entry, seq)
  if is_seal(entry) then
    close_window(batch, entry)
    return false, false
  end
  local target, user, labels = entry.target, entry.user, entry.shape.labels
  local space = target.space
  local times = space.latest and entry.shape.timed.times
  local boards, held, number = target.boards, user.held, user.number
  local previous = boards[1].scores[number]
  -- What shows or hides a user changes nothing where they have no score; an archive goes by who may be shown.
  local shows = entry.moves ~= '' and sub(entry.moves, 1, 1) == 'h'
  for i = 1, #boards do
    local board = boards[i]
    local moved, first = not board.closed or moves_board(entry, board), not board.scores[number]
    if moved then
      if space.by_moment then
        set_digits(board, number, after.digits[i])
      elseif board.since and board.scores[number] ~= after.scores[i] then
        board.since[number] = seq_digits(seq)
      end
      board.scores[number], board.moved = after.scores[i], true
      if board.times then
        set_time(board, number, after.times[i])
      end
    end
    if shows and (after.scores[i] or board.closed == 'a') or moved and not shows then
      board.version = seq
      count_board(board, first)
    end
  end
  if not target.moves[number] then
    target.moves[number], target.changed[#target.changed + 1] = true, user
  end
  for i = 1, #labels do
    held[user.at[labels[i]]] = after.labels[i]
    if times and times[i] then
      held[user.at[times[i]]] = after.label_times[i]
    end
    if after.labels[i] then
      add_label(target.space, labels[i])
    else
      user.loses = true
    end
  end
  count_user(entry)
  local score = after.scores[1]
  held[1], held[2], held[4] = score or 0, (held[2] or 0) + entry.weight, seq
  held[3] = after.last
  user.loses = user.loses or not held[3]
  if (score or false) ~= (previous or false) then
    user.changed_at = batch.at
  end
  user.touched, user.mover = true, entry.number
  if entry.moves ~= '' and entry.moves ~= 'b' then
    user.corrected = seq
  end
  return score, previous
end
