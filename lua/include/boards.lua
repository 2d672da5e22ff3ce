-- Boards: sorted sets of one exact integer a user.

-- Fills board.scores by user; board.fault names a key that is not such a board.
local function read_board(board)
  local found, err = try('ZMSCORE', board.key, unpack(board.names))
  if not found then
    board.fault = board.key .. ': ' .. err
    return
  end
  for i, user in ipairs(board.users) do
    local score = integer(found[i], false)
    if score == nil then
      board.fault = board.key .. ': a score is not an integer'
      return
    end
    board.scores[user] = score
  end
end

local function write_board(board)
  local scores, args, n = board.scores, {}, 0
  for i, user in ipairs(board.users) do
    if scores[user] then
      args[n + 1], args[n + 2], n = scores[user], board.names[i], n + 2
    end
  end
  call('ZADD', board.key, unpack(args))
end
