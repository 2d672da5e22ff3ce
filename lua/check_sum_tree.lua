-- Looks for nodes of a board's tree of sums (include/sum_tree) that are not what lies below them.
--
-- KEYS     board, sums of the board
-- ARGV     nodes, by their numbers, none beyond the keys there are
-- Reply    {node, its sum | false where there is none, what lies below it adds up to | false where that is no sum, …}, of
--          those that differ
-- Effects  none
--
--- @include "include/bigint"
--- @include "include/sum_tree"

local call, format = redis.call, string.format
local board_key, sums_key = KEYS[1], KEYS[2]

-- The keys of a leaf, each as often as it stands on the board.
local function of_leaf(limbs, index)
  for place = 0, sum_tree.LEAF - 1 do
    local key = index * sum_tree.LEAF + place
    local name = format('%.0f', key)
    bigint.add_product(limbs, key, call('ZCOUNT', board_key, name, name))
  end
  return true
end

-- The stretches of the level below; false where one of them is no sum.
local function of_children(limbs, level, index)
  local nodes = {}
  for place = 0, sum_tree.FAN - 1 do
    nodes[place + 1] = sum_tree.node_of(level - 1, index * sum_tree.FAN + place)
  end
  for _, held in ipairs(call('HMGET', sums_key, unpack(nodes))) do
    if held and not sum_tree.is_sum(held) then
      return false
    end
    bigint.add_text(limbs, held or '0')
  end
  return true
end

local reply = {}
for _, node in ipairs(ARGV) do
  local number, limbs = tonumber(node), bigint.new()
  local level = number % (sum_tree.TOP + 1)
  local index = (number - level) / (sum_tree.TOP + 1)
  local is_sum = level == 0 and of_leaf(limbs, index) or level > 0 and of_children(limbs, level, index)
  local held, wanted = call('HGET', sums_key, node), is_sum and bigint.sum('0', 0, limbs)
  if (held or '0') ~= wanted then
    reply[#reply + 1], reply[#reply + 2], reply[#reply + 3] = node, held, wanted
  end
end
return reply
