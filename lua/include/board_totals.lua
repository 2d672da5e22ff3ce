-- Totals of boards, where their namespace keeps statistics: the exact sum of a board's scores and of their squares. They
-- are a field of the namespace, `<sum> <squares>`; a missing field means two zeros. Only visible users count.
-- board.totals holds what this bundle adds: `sum` and `squares` while doubles are exact, limbs (include/bigint) beyond.
--
--- @include "include/bigint"
--- @include "include/fields"
--- @include "include/replies"
--- @include "include/sum_tree_changes"
--- @include "include/visibility"

local format, match, is_visible = string.format, string.match, visibility.is_visible
local FIELDS_A_CALL_MAX = replies.FIELDS_A_CALL_MAX

local PLAIN_MAX = 6000000000000 -- a change that is added as a double: those of 512 users add up within ±4·10^15

-- Reads the totals of a namespace's boards. board.fault or namespace.fault says what could not be read.
local function read(namespace)
  local boards = namespace.boards_with_totals
  for first = 1, #boards, FIELDS_A_CALL_MAX do
    local names = {}
    for i = first, math.min(first + FIELDS_A_CALL_MAX - 1, #boards) do
      names[#names + 1] = fields.BOARD_TOTALS .. boards[i].name
    end
    local values, err = replies.try('HMGET', namespace.key, unpack(names))
    if not values then
      namespace.fault = namespace.key .. ': ' .. err
      return
    end
    for i = 1, #names do
      local board, text = boards[first + i - 1], values[i] or '0 0'
      local totals = board.totals
      totals.stored_sum, totals.stored_squares = match(text, '^(-?%d+) (%d+)$')
      if not totals.stored_sum or #text > 128 then
        board.fault = namespace.key .. ': ' .. names[i] .. ' is not a sum and a sum of squares'
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

-- Adds what users' scores have changed to a board's totals and sum tree. A user of two board sets counts once: their new
-- score becomes the old one.
local function add_changes(board, users)
  local old_scores, scores, totals, tree = board.old_scores, board.scores, board.totals, board.sum_tree
  for i = 1, #users do
    local user = users[i]
    local number = user.number
    local old, new = old_scores[number], is_visible(user) and scores[number]
    if old ~= new then
      if totals then
        add_change(totals, old or 0, new or 0)
        totals.has_changed = true
      end
      if tree then
        sum_tree_changes.move_score(tree, old, new, board.namespace.ascending)
      end
      old_scores[number] = new
    end
  end
end

-- The text of a stored sum, `change` and limbs (nil for none). change: within ±4·10^15.
local function sum_text(stored, change, limbs)
  if not limbs and #stored < 16 then
    return format('%.0f', tonumber(stored) + change)
  end
  return bigint.sum(stored, change, limbs)
end

-- The field's new value.
local function text(totals)
  return sum_text(totals.stored_sum, totals.sum, totals.sum_limbs)
    .. ' ' .. sum_text(totals.stored_squares, totals.squares, totals.squares_limbs)
end

return { read = read, add_changes = add_changes, text = text }
