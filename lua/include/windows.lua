-- Windows and their boards. A board is named by its window, and by its category where it has one: `<window>:<category>`.
-- The window of a season is `season:<name>`.

-- The window of a board.
local function window_of(board)
  return string.match(board, '^season:[^:]*') or string.match(board, '^[^:]*')
end

-- The version of a board whose window is archived; nil where the board is in Redis. state: the window's state, `a <version>`
-- where it is archived (include/closed_windows); version: the board's own.
local function archived_version(state, version)
  if state and string.sub(state, 1, 1) == 'a' then
    return string.match(state, '%d+') or version or '0'
  end
  return nil
end

return { window_of = window_of, archived_version = archived_version }
