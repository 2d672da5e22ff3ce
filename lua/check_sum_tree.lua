-- Finds nodes of a board's sum tree (include/sum_tree) that differ from the sum of what is below them.
--
-- KEYS     board, sum tree of the board
-- ARGV     numbers of nodes, none beyond the keys there may be
-- Reply    {node, its sum | false for none, the sum of what is below it | false where that is no sum, …} of nodes that differ
-- Effects  none
--
--- @include "include/bigint"
--- @include "include/sum_tree"

local board_key, tree_key = KEYS[1], KEYS[2]
local LEAF, FAN, TOP, node_of = sum_tree.LEAF, sum_tree.FAN, sum_tree.TOP, sum_tree.node_of

-- Adds the keys of a leaf, each as often as it is on the board.
local function add_leaf(limbs, index)
  for i = 0, LEAF - 1 do
    local key = index * LEAF + i
    local text = string.format('%.0f', key)
    bigint.add_product(limbs, key, redis.call('ZCOUNT', board_key, text, text))
  end
  return true
end

-- Adds the nodes of the level below; false where one of them holds no sum.
local function add_children(limbs, level, index)
  local nodes = {}
  for i = 0, FAN - 1 do
    nodes[i + 1] = node_of(level - 1, index * FAN + i)
  end
  for _, text in ipairs(redis.call('HMGET', tree_key, unpack(nodes))) do
    if text and not sum_tree.is_sum(text) then
      return false
    end
    bigint.add_text(limbs, text or '0')
  end
  return true
end

local reply = {}
for _, node in ipairs(ARGV) do
  local number, limbs = tonumber(node), bigint.new()
  local level = number % (TOP + 1)
  local index = (number - level) / (TOP + 1)
  local is_sum = level == 0 and add_leaf(limbs, index) or level > 0 and add_children(limbs, level, index)
  local stored, right = redis.call('HGET', tree_key, node), is_sum and bigint.sum('0', 0, limbs)
  if (stored or '0') ~= right then
    reply[#reply + 1], reply[#reply + 2], reply[#reply + 3] = node, stored, right
  end
end
return reply
