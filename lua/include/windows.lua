-- What a namespace keeps of an archived window: `a <version>`, one for all of its boards.

-- The version of a board of an archived window; nil where the board stands here. closed: the window's field `x:…`, own: the
-- board's `v:…`.
local function archived_version(closed, own)
  if closed and string.sub(closed, 1, 1) == 'a' then
    return string.match(closed, '%d+') or own or '0'
  end
  return nil
end

-- The window of a board's name: a category's board is `<window>:<category>`, and a season's window is `season:<name>`.
local function window_of(board)
  return string.match(board, '^season:[^:]*') or string.match(board, '^[^:]*')
end

return { window_of = window_of, archived_version = archived_version }
