-- The sum of the keys of a board within bounds, by its sum tree (include/sum_tree). O(log n).
--
--- @include "include/bigint"
--- @include "include/fields"
--- @include "include/sum_tree"

local call, format = redis.call, string.format
local LEAF, FAN, TOP, node_of = sum_tree.LEAF, sum_tree.FAN, sum_tree.TOP, sum_tree.node_of

local PLAIN_DIGITS = 12 -- a thousand sums of so many digits add up exactly in a double

-- The field that says whether the tree is broken, then the nodes that cover the leaves between two leaves.
local function nodes_between(first, last)
  local nodes, level = { fields.BROKEN }, 0
  while true do
    local first_parent, last_parent = math.floor(first / FAN), math.floor(last / FAN)
    local is_last_level = first_parent == last_parent or level == TOP
    for index = first + 1, is_last_level and last - 1 or first_parent * FAN + FAN - 1 do
      nodes[#nodes + 1] = node_of(level, index)
    end
    if is_last_level then
      return nodes
    end
    for index = last_parent * FAN, last - 1 do
      nodes[#nodes + 1] = node_of(level, index)
    end
    first, last, level = first_parent, last_parent, level + 1
  end
end

-- Adds keys of one leaf, each as often as it is on the board.
local function add_keys(limbs, board_key, low, high)
  if call('ZCOUNT', board_key, format('%.0f', low), format('%.0f', high)) == 0 then
    return
  end
  for key = low, high do
    local text = format('%.0f', key)
    bigint.add_product(limbs, key, call('ZCOUNT', board_key, text, text))
  end
end

-- The sum of the keys from low to high, both included, as text; false where the tree is broken.
local function sum(board_key, tree_key, low, high)
  local limbs, plain = bigint.new(), 0
  local first, last = math.floor(low / LEAF), math.floor(high / LEAF)
  if first == last then
    add_keys(limbs, board_key, low, high)
    return bigint.sum('0', 0, limbs)
  end
  for i, text in ipairs(call('HMGET', tree_key, unpack(nodes_between(first, last)))) do
    if text and (i == 1 or not sum_tree.is_sum(text)) then
      return false
    elseif text and #text > PLAIN_DIGITS then
      bigint.add_text(limbs, text)
    elseif text then
      plain = plain + tonumber(text)
    end
  end
  add_keys(limbs, board_key, low, first * LEAF + LEAF - 1)
  add_keys(limbs, board_key, last * LEAF, high)
  return bigint.sum('0', plain, limbs)
end

return { sum = sum }
