-- Closed windows: sealed ('s', the board still stands here) or archived ('a', it stands in Postgres). A grant that would
-- move a closed window is refused; one that an admin lets in behind the seal, and a correction, pass its boards by: their
-- archive follows from the ledger. Taking a duplicate back, and hiding, moves a board that still stands here.
--
--- @include "include/namespaces"
--- @include "include/windows"

local call, match, sub = redis.call, string.match, string.sub

-- The windows that a batch may meet, by namespace.
local function want(boards)
  for _, board in ipairs(boards) do
    local namespace = board.namespace
    board.window = windows.window_of(board.name)
    if board.window ~= 'all' and namespace.window_states[board.window] == nil then
      namespace.window_states[board.window] = false
      namespace.windows[#namespace.windows + 1] = board.window
    end
  end
end

-- Marks the closed boards, and the targets that hold one.
local function mark_boards(batch)
  for _, board in ipairs(batch.boards) do
    board.closed = board.namespace.window_states[board.window]
  end
  for _, board_set in ipairs(batch.board_sets) do
    for _, board in ipairs(board_set.boards) do
      board_set.closed = board_set.closed or board.closed
    end
  end
end

-- A seal says from when on its window may be closed: `s<microseconds>`.
local function is_seal(entry)
  return sub(entry.ops, 1, 1) == 's'
end

-- Whether that moment is over by the store's own clock. A seal cannot be taken back, so no caller's clock decides alone.
local function is_over(entry)
  local now = call('TIME')
  return tonumber(now[1]) * 1000000 + tonumber(now[2]) > tonumber(sub(entry.ops, 2))
end

-- Whether an entry may meet a closed window: a correction (moves), what takes back (t…), shows or hides (h…), or what an
-- admin lets in (b…).
local function may_pass(entry)
  return entry.ops ~= ''
end

-- A closed board that still stands here is moved by what would have to be done to its archive, too, before it can agree.
local function moves_board(entry, board)
  return board.closed == 's' and match(entry.ops, '^[th]') ~= nil
end

-- A seal's effect: from here on its window is closed.
local function close(batch, entry)
  local board = entry.board_set.boards[1]
  board.namespace.window_states[board.window] = 's'
  namespaces.set(board.namespace, 'x:' .. board.window, 's')
  mark_boards(batch)
end

return { want = want, mark_boards = mark_boards, is_seal = is_seal, is_over = is_over, may_pass = may_pass, moves_board = moves_board, close = close }
