-- What an applied entry does to the tables that are written afterwards.
--
--- @include "include/closed_windows"
--- @include "include/compute"
--- @include "include/grant_times"
--- @include "include/namespaces"
--- @include "include/quotas"
--- @include "include/tie_break"

local sub = string.sub

-- A user's digits on a board become other ones; false: the user leaves it.
local function set_prefix(board, number, prefix)
  if board.prefixes[number] ~= prefix then
    board.prefixes[number], board.new_prefixes[number] = prefix, prefix or tie_break.NO_MOMENT
  end
end

-- Takes over what was worked out. The score on the `all` board after the entry, and before it (false: none).
local function stage(batch, entry, seq)
  if closed_windows.is_seal(entry) then
    closed_windows.close(batch, entry)
    return false, false
  end
  local board_set, user, labels = entry.board_set, entry.user, entry.label_set.labels
  local namespace = board_set.namespace
  local times = namespace.latest and entry.label_set.timed.times
  local boards, held, number = board_set.boards, user.values, user.number
  local previous = boards[1].scores[number]
  -- What shows or hides a user changes nothing where they have no score; an archive goes by who may be shown.
  local shows = entry.ops ~= '' and sub(entry.ops, 1, 1) == 'h'
  for i = 1, #boards do
    local board = boards[i]
    local moved, first = not board.closed or closed_windows.moves_board(entry, board), not board.scores[number]
    if moved then
      if namespace.by_granted_at then
        set_prefix(board, number, compute.result.prefixes[i])
      elseif board.new_prefixes and board.scores[number] ~= compute.result.scores[i] then
        board.new_prefixes[number] = tie_break.seq_prefix(seq)
      end
      board.scores[number], board.is_changed = compute.result.scores[i], true
      if board.times then
        grant_times.set(board, number, compute.result.times[i])
      end
    end
    if shows and (compute.result.scores[i] or board.closed == 'a') or moved and not shows then
      board.version = seq
      quotas.count_board(board, first)
    end
  end
  if not board_set.has_changed[number] then
    board_set.has_changed[number], board_set.changed_users[#board_set.changed_users + 1] = true, user
  end
  for i = 1, #labels do
    held[user.at[labels[i]]] = compute.result.labels[i]
    if times and times[i] then
      held[user.at[times[i]]] = compute.result.label_times[i]
    end
    if compute.result.labels[i] then
      namespaces.add_label(board_set.namespace, labels[i])
    else
      user.loses_fields = true
    end
  end
  quotas.count_user(entry)
  local score = compute.result.scores[1]
  held[1], held[2], held[4] = score or 0, (held[2] or 0) + entry.live_delta, seq
  held[3] = compute.result.last
  user.loses_fields = user.loses_fields or not held[3]
  if (score or false) ~= (previous or false) then
    user.changed_at = batch.at
  end
  user.is_changed, user.last_entry = true, entry.number
  if entry.ops ~= '' and entry.ops ~= 'b' then
    user.corrected = seq
  end
  return score, previous
end

return stage
