-- The sum tree of a board, where its namespace keeps bounded sums. Keys are the scores as the board keeps them. Level 0 has
-- a node for each 8 neighbouring keys; a node of a level above covers 64 nodes of the level below; a node of level 7 covers
-- half of all keys there may be. A node's sum is the sum of the keys on the board below it. The hash holds node number ->
-- sum, as decimal text, for sums that are not 0; the field `broken` says that a node held something else.
--
--- @lazy

local LEAF, FAN, TOP = 8, 64, 7

-- Whether a text is a sum as nodes hold it: a plain integer that is not 0.
local function is_sum(text)
  return #text <= 64 and string.match(text, '^-?[1-9]%d*$') ~= nil
end

-- The number of a node. It stays a number: Redis makes text of it faster than Lua does.
local function node_of(level, index)
  return index * 8 + level
end

return { LEAF = LEAF, FAN = FAN, TOP = TOP, is_sum = is_sum, node_of = node_of }
