-- How much the keys of a board within bounds add up to, by its tree of sums (include/sum_tree). O(log n).
--
--- @include "include/bigint"
--- @include "include/sum_tree"

local PLAIN_DIGITS = 12 -- a thousand sums of so many digits add up in a double

-- The nodes that fill what lies between two leaves, behind `broken`.
local function nodes_between(first, last)
  local nodes, level = { 'broken' }, 0
  while true do
    local first_parent, last_parent = math.floor(first / sum_tree.FAN), math.floor(last / sum_tree.FAN)
    local together = first_parent == last_parent or level == sum_tree.TOP
    for index = first + 1, together and last - 1 or first_parent * sum_tree.FAN + sum_tree.FAN - 1 do
      nodes[#nodes + 1] = sum_tree.node_of(level, index)
    end
    if together then
      return nodes
    end
    for index = last_parent * sum_tree.FAN, last - 1 do
      nodes[#nodes + 1] = sum_tree.node_of(level, index)
    end
    first, last, level = first_parent, last_parent, level + 1
  end
end

-- Keys of one leaf: each as often as it stands on the board.
local function add_keys(limbs, board_key, low, high)
  if redis.call('ZCOUNT', board_key, string.format('%.0f', low), string.format('%.0f', high)) == 0 then
    return
  end
  for key = low, high do
    local name = string.format('%.0f', key)
    bigint.add_product(limbs, key, redis.call('ZCOUNT', board_key, name, name))
  end
end

-- The sum of the keys from low to high, both included, as text; false where the tree is broken.
local function sum(board_key, sums_key, low, high)
  local limbs, plain = bigint.new(), 0
  local first, last = math.floor(low / sum_tree.LEAF), math.floor(high / sum_tree.LEAF)
  if first == last then
    add_keys(limbs, board_key, low, high)
    return bigint.sum('0', 0, limbs)
  end
  for i, held in ipairs(redis.call('HMGET', sums_key, unpack(nodes_between(first, last)))) do
    if held and (i == 1 or not sum_tree.is_sum(held)) then
      return false
    elseif held and #held > PLAIN_DIGITS then
      bigint.add_text(limbs, held)
    elseif held then
      plain = plain + tonumber(held)
    end
  end
  add_keys(limbs, board_key, low, first * sum_tree.LEAF + sum_tree.LEAF - 1)
  add_keys(limbs, board_key, last * sum_tree.LEAF, high)
  return bigint.sum('0', plain, limbs)
end

return { sum = sum }
