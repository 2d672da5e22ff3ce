-- Closed windows. The state of a window is `s` where it is sealed (its boards are still in Redis), or `a` where it is archived
-- (its boards are in Postgres). A grant to a closed window is refused. Backfills and corrections skip sealed boards in Redis:
-- the persister updates the archive from the ledger. Heals and visibility entries do change a sealed board.
--
--- @include "include/fields"
--- @include "include/namespaces"
--- @include "include/windows"

local call, sub = redis.call, string.sub

-- Notes the windows of boards, so that their states are read.
local function add_windows(boards)
  for _, board in ipairs(boards) do
    local namespace = board.namespace
    board.window = windows.window_of(board.name)
    if board.window ~= 'all' and namespace.window_states[board.window] == nil then
      namespace.window_states[board.window] = false
      namespace.windows[#namespace.windows + 1] = board.window
    end
  end
end

-- Fills board.window_state, and board_set.is_closed where one of its boards is closed.
local function mark_boards(bundle)
  for _, board in ipairs(bundle.boards) do
    board.window_state = board.namespace.window_states[board.window]
  end
  for _, board_set in ipairs(bundle.board_sets) do
    for _, board in ipairs(board_set.boards) do
      board_set.is_closed = board_set.is_closed or board.window_state
    end
  end
end

-- Whether the window of a seal is over by the clock of Redis: its ops, `s<µs>`, say when it may be closed. A seal cannot be
-- taken back, so the caller's clock alone does not decide.
local function is_over(entry)
  local now = call('TIME')
  return tonumber(now[1]) * 1000000 + tonumber(now[2]) > tonumber(sub(entry.ops, 2))
end

-- Whether an entry changes a board of a closed window.
local function moves_board(entry, board)
  return board.window_state == 's' and entry.kind.moves_closed
end

-- Closes the window of a seal.
local function close(bundle, entry)
  local board = entry.board_set.boards[1]
  board.namespace.window_states[board.window] = 's'
  namespaces.set(board.namespace, fields.WINDOW_STATE .. board.window, 's')
  mark_boards(bundle)
end

return { add_windows = add_windows, mark_boards = mark_boards, is_over = is_over, moves_board = moves_board, close = close }
