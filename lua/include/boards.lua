-- Boards: sorted sets of one exact integer a user: the score, negated where the order is ascending, so that the better
-- one always stands higher.

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
      if board.space.ascending then
        score = 0 - score
      end
    end
    scores[users[i].number] = score
  end
end

local function write_board(board, users)
  local scores, ascending, args, n, gone = board.scores, board.space.ascending, {}, 0, {}
  for i = 1, #users do
    local user = users[i]
    local score = scores[user.number]
    if score then
      args[n + 1], args[n + 2], n = ascending and 0 - score or score, user.name, n + 2
    else
      gone[#gone + 1] = user.name
    end
  end
  if n > 0 then
    call('ZADD', board.key, unpack(args))
  end
  if gone[1] then
    call('ZREM', board.key, unpack(gone))
  end
end
