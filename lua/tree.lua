-- Looks for nodes of a board's tree of sums (include/nodes) that are not what lies below them.
--
-- KEYS     board, sums of the board
-- ARGV     nodes, by their numbers, none beyond the keys there are
-- Reply    {node, its sum | false where there is none, what lies below it adds up to | false where that is no sum, …}, of
--          those that differ
-- Effects  none
--
--- @include "include/call"
--- @include "include/longs"
--- @include "include/nodes"

local board_key, sums_key = KEYS[1], KEYS[2]

-- The keys of a leaf, each as often as it stands on the board.
local function of_leaf(limbs, index)
  for place = 0, LEAF - 1 do
    local key = index * LEAF + place
    local name = format('%.0f', key)
    add_product(limbs, key, call('ZCOUNT', board_key, name, name))
  end
  return true
end

-- The stretches of the level below; false where one of them is no sum.
local function of_children(limbs, level, index)
  local nodes = {}
  for place = 0, FAN - 1 do
    nodes[place + 1] = node_of(level - 1, index * FAN + place)
  end
  for _, held in ipairs(call('HMGET', sums_key, unpack(nodes))) do
    if held and not is_sum(held) then
      return false
    end
    add_text(limbs, held or '0')
  end
  return true
end

local reply = {}
for _, node in ipairs(ARGV) do
  local number, limbs = tonumber(node), new_limbs()
  local level = number % (TOP + 1)
  local index = (number - level) / (TOP + 1)
  local is_sum = level == 0 and of_leaf(limbs, index) or level > 0 and of_children(limbs, level, index)
  local held, wanted = call('HGET', sums_key, node), is_sum and long_sum('0', 0, limbs)
  if (held or '0') ~= wanted then
    reply[#reply + 1], reply[#reply + 2], reply[#reply + 3] = node, held, wanted
  end
end
return reply
