-- Puts the new values of an applied entry into the tables that include/write_state writes at the end.
--
--- @include "include/balances"
--- @include "include/closed_windows"
--- @include "include/grant_times"
--- @include "include/namespaces"
--- @include "include/quotas"
--- @include "include/tie_break"

local TOTAL, COUNT, LAST, SEQ = balances.TOTAL, balances.COUNT, balances.LAST, balances.SEQ

-- Sets a user's prefix on a board; false: the user leaves it.
local function set_prefix(board, number, prefix)
  if board.prefixes[number] ~= prefix then
    board.prefixes[number], board.new_prefixes[number] = prefix, prefix or tie_break.NO_MOMENT
  end
end

-- What stands beside a score that changes: its prefix and its grant time.
local function stage_beside(board, i, number, new, seq)
  if board.namespace.by_granted_at then
    set_prefix(board, number, new.prefixes[i])
  elseif board.new_prefixes and board.scores[number] ~= new.scores[i] then
    board.new_prefixes[number] = tie_break.seq_prefix(seq)
  end
  if board.times then
    grant_times.set(board, number, new.times[i])
  end
end

-- Hiding a user without a score leaves a board's version alone, unless the board is archived: its answers depend on who is
-- hidden.
local function stage_boards(entry, new, seq)
  local board_set, number = entry.board_set, entry.user.number
  local changes_visibility = entry.kind.is_visibility
  local boards = board_set.boards
  for i = 1, #boards do
    local board = boards[i]
    local is_moved, is_first = not board.window_state or closed_windows.moves_board(entry, board), not board.scores[number]
    if is_moved then
      if board.new_prefixes or board.times then
        stage_beside(board, i, number, new, seq)
      end
      board.scores[number], board.is_changed = new.scores[i], true
    end
    if changes_visibility and (new.scores[i] or board.window_state == 'a') or is_moved and not changes_visibility then
      board.version = seq
      quotas.count_board(board, is_first)
    end
  end
  if not board_set.has_changed[number] then
    board_set.has_changed[number], board_set.changed_users[#board_set.changed_users + 1] = true, entry.user
  end
end

local function stage_labels(entry, new)
  local user, labels, namespace = entry.user, entry.label_set.labels, entry.board_set.namespace
  local values, index = user.values, user.index
  local time_fields = namespace.keeps_times and entry.label_set.timed.time_fields
  for i = 1, #labels do
    local label, value = labels[i], new.labels[i]
    values[index[label]] = value
    if time_fields and time_fields[i] then
      values[index[time_fields[i]]] = new.label_times[i]
    end
    if value then
      namespaces.add_label(namespace, label)
    else
      user.loses_fields = true
    end
  end
end

-- The score on the `all` board after the entry, and before it (false: none).
local function stage(bundle, entry, seq)
  if entry.kind.is_seal then
    closed_windows.close(bundle, entry)
    return false, false
  end
  local user, new = entry.user, bundle.new_values
  local values, score, previous = user.values, new.scores[1], entry.board_set.boards[1].scores[user.number]
  stage_boards(entry, new, seq)
  stage_labels(entry, new)
  quotas.count_user(entry)
  values[TOTAL], values[COUNT], values[SEQ] = score or 0, (values[COUNT] or 0) + entry.live_delta, seq
  values[LAST] = new.last
  user.loses_fields = user.loses_fields or not new.last
  if (score or false) ~= (previous or false) then
    user.changed_at = bundle.now
  end
  user.is_changed, user.last_entry = true, entry.number
  if not entry.kind.is_grant then
    user.corrected_seq = seq
  end
  return score, previous
end

return stage
