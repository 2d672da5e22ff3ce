-- The window of a board's name: a category's board is `<window>:<category>`, and a season's window is `season:<name>`.
local function window_of(board)
  return string.match(board, '^season:[^:]*') or string.match(board, '^[^:]*')
end
