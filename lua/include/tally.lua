-- Statistics of boards, where their namespace keeps them: the exact sum of a board's scores and that of their squares,
-- `<sum> <squares>` in the namespace's hash (`t:<board>`; none: both are 0). Who is not shown is in neither. How many
-- stand on a board, the lowest and the highest, its sorted set tells.
-- A board's tally holds what this batch adds: `sum` and `squares` while doubles add up exactly, limbs beyond.

local PLAIN_MAX = 6000000000000 -- the changes of 512 users add up within ±4·10^15

-- Fills the tallies of a space's boards; board.fault names one that is no such thing, space.fault a key.
local function read_tallies(space)
  local boards = space.tallied
  for first = 1, #boards, FIELDS_A_CALL do
    local fields = {}
    for i = first, math.min(first + FIELDS_A_CALL - 1, #boards) do
      fields[#fields + 1] = 't:' .. boards[i].window
    end
    local found, err = try('HMGET', space.key, unpack(fields))
    if not found then
      space.fault = space.key .. ': ' .. err
      return
    end
    for i = 1, #fields do
      local board, text = boards[first + i - 1], found[i] or '0 0'
      local tally = board.tally
      tally.held_sum, tally.held_squares = match(text, '^(-?%d+) (%d+)$')
      if not tally.held_sum or #text > 128 then
        board.fault = space.key .. ': ' .. fields[i] .. ' is not a sum and a sum of squares'
      end
    end
  end
end

local function add_change(tally, old, new)
  local change, both = new - old, new + old
  local squares = change * both
  if squares <= PLAIN_MAX and squares >= -PLAIN_MAX and change <= PLAIN_MAX and change >= -PLAIN_MAX then
    tally.sum, tally.squares = tally.sum + change, tally.squares + squares
    return
  end
  tally.sum_limbs, tally.squares_limbs = tally.sum_limbs or new_limbs(), tally.squares_limbs or new_limbs()
  add_product(tally.sum_limbs, change, 1)
  add_product(tally.squares_limbs, change, both)
end

-- From the scores that users had on a board to those that they come to: a user who comes with two targets counts once.
local function tally_board(board, users)
  local was, scores, tally, sums = board.was, board.scores, board.tally, board.sums
  for i = 1, #users do
    local user = users[i]
    local number = user.number
    local old, new = was[number], is_shown(user) and scores[number]
    if old ~= new then
      if tally then
        add_change(tally, old or 0, new or 0)
        tally.changed = true
      end
      if sums then
        move_score(sums, old, new, board.space.ascending)
      end
      was[number] = new
    end
  end
end

local function tally_text(tally)
  return long_sum(tally.held_sum, tally.sum, tally.sum_limbs)
    .. ' ' .. long_sum(tally.held_squares, tally.squares, tally.squares_limbs)
end
