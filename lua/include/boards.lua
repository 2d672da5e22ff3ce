-- Boards: sorted sets of one exact integer a user.

-- Fills a board's scores, by the number of the user, for a target's users; board.fault names a key that is no such board.
local function read_board(board, users, names)
  local found, err = try('ZMSCORE', board.key, unpack(names))
  if not found then
    board.fault = board.key .. ': ' .. err
    return
  end
  local scores = board.scores
  for i = 1, #users do
    local score = found[i]
    if score then
      score = integer(score)
      if not score then
        board.fault = board.key .. ': a score is not an integer'
        return
      end
    end
    scores[users[i].number] = score
  end
end

local function write_board(board, users)
  local scores, args, n = board.scores, {}, 0
  for i = 1, #users do
    local user = users[i]
    args[n + 1], args[n + 2], n = scores[user.number], user.name, n + 2
  end
  call('ZADD', board.key, unpack(args))
end
