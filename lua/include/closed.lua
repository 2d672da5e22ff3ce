-- Closed windows: sealed ('s', the board still stands here) or archived ('a', it stands in Postgres). A grant that would
-- move a closed window is refused; one that an admin lets in behind the seal, and a correction, pass its boards by: their
-- archive follows from the ledger. Taking a duplicate back, and hiding, moves a board that still stands here.

-- The windows that a batch may meet, by namespace.
local function want_windows(boards)
  for _, board in ipairs(boards) do
    local space = board.space
    board.base = window_of(board.window)
    if board.base ~= 'all' and space.closed[board.base] == nil then
      space.closed[board.base] = false
      space.windows[#space.windows + 1] = board.base
    end
  end
end

-- Marks the closed boards, and the targets that hold one.
local function mark_closed(batch)
  for _, board in ipairs(batch.boards) do
    board.closed = board.space.closed[board.base]
  end
  for _, target in ipairs(batch.targets) do
    for _, board in ipairs(target.boards) do
      target.closed = target.closed or board.closed
    end
  end
end

-- A seal says from when on its window may be closed: `s<microseconds>`.
local function is_seal(entry)
  return sub(entry.moves, 1, 1) == 's'
end

-- Whether that moment is over by the store's own clock. A seal cannot be taken back, so no caller's clock decides alone.
local function may_close(entry)
  local now = call('TIME')
  return tonumber(now[1]) * 1000000 + tonumber(now[2]) > tonumber(sub(entry.moves, 2))
end

-- Whether an entry may meet a closed window: a correction (moves), what takes back (t…), shows or hides (h…), or what an
-- admin lets in (b…).
local function reaches_closed(entry)
  return entry.moves ~= ''
end

-- A closed board that still stands here is moved by what would have to be done to its archive, too, before it can agree.
local function moves_board(entry, board)
  return board.closed == 's' and match(entry.moves, '^[th]') ~= nil
end

-- A seal's effect: from here on its window is closed.
local function close_window(batch, entry)
  local board = entry.target.boards[1]
  board.space.closed[board.base] = 's'
  set(board.space, 'x:' .. board.base, 's')
  mark_closed(batch)
end
