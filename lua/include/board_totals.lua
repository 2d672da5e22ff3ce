-- Statistics of boards, where their namespace keeps them: the exact sum of a board's scores and that of their squares,
-- `<sum> <squares>` in the namespace's hash (`t:<board>`; none: both are 0). Who is not shown is in neither. How many
-- stand on a board, the lowest and the highest, its sorted set tells.
-- A board's tally holds what this batch adds: `sum` and `squares` while doubles add up exactly, limbs beyond.
--
--- @include "include/bigint"
--- @include "include/replies"
--- @include "include/sum_tree_changes"
--- @include "include/visibility"

local match = string.match

local PLAIN_MAX = 6000000000000 -- the changes of 512 users add up within ±4·10^15

-- Fills the tallies of a space's boards; board.fault names one that is no such thing, space.fault a key.
local function read(namespace)
  local boards = namespace.boards_with_totals
  for first = 1, #boards, replies.FIELDS_A_CALL_MAX do
    local fields = {}
    for i = first, math.min(first + replies.FIELDS_A_CALL_MAX - 1, #boards) do
      fields[#fields + 1] = 't:' .. boards[i].name
    end
    local found, err = replies.try('HMGET', namespace.key, unpack(fields))
    if not found then
      namespace.fault = namespace.key .. ': ' .. err
      return
    end
    for i = 1, #fields do
      local board, text = boards[first + i - 1], found[i] or '0 0'
      local totals = board.totals
      totals.stored_sum, totals.stored_squares = match(text, '^(-?%d+) (%d+)$')
      if not totals.stored_sum or #text > 128 then
        board.fault = namespace.key .. ': ' .. fields[i] .. ' is not a sum and a sum of squares'
      end
    end
  end
end

local function add_change(totals, old, new)
  local change, both = new - old, new + old
  local squares = change * both
  if squares <= PLAIN_MAX and squares >= -PLAIN_MAX and change <= PLAIN_MAX and change >= -PLAIN_MAX then
    totals.sum, totals.squares = totals.sum + change, totals.squares + squares
    return
  end
  totals.sum_limbs, totals.squares_limbs = totals.sum_limbs or bigint.new(), totals.squares_limbs or bigint.new()
  bigint.add_product(totals.sum_limbs, change, 1)
  bigint.add_product(totals.squares_limbs, change, both)
end

-- From the scores that users had on a board to those that they come to: a user who comes with two targets counts once.
local function add_changes(board, users)
  local was, scores, totals, sums = board.old_scores, board.scores, board.totals, board.sums
  for i = 1, #users do
    local user = users[i]
    local number = user.number
    local old, new = was[number], visibility.is_visible(user) and scores[number]
    if old ~= new then
      if totals then
        add_change(totals, old or 0, new or 0)
        totals.changed = true
      end
      if sums then
        sum_tree_changes.move_score(sums, old, new, board.namespace.ascending)
      end
      was[number] = new
    end
  end
end

local function text(totals)
  return bigint.sum(totals.stored_sum, totals.sum, totals.sum_limbs)
    .. ' ' .. bigint.sum(totals.stored_squares, totals.squares, totals.squares_limbs)
end

return { read = read, add_changes = add_changes, text = text }
