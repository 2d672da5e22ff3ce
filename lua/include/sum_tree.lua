-- A tree of sums beside a board, where its namespace keeps bounded sums: how much the keys of the board (its scores, as it
-- keeps them) add up to in each stretch of keys. A stretch of level 0 holds 8 keys side by side, each above it 64 stretches
-- of the level below; level 7 reaches over every key there is. The hash holds those that do not add up to 0: a node's
-- number → the sum as decimal text; `broken` is there where one was found that was no sum.

local LEAF, FAN, TOP = 8, 64, 7

-- Whether what a node holds is a sum: an integer as it is written here, and not 0.
local function is_sum(held)
  return #held <= 64 and string.match(held, '^-?[1-9]%d*$') ~= nil
end

-- As numbers, which Redis turns into text faster than Lua does.
local function node_of(level, index)
  return index * 8 + level
end

return { LEAF = LEAF, FAN = FAN, TOP = TOP, is_sum = is_sum, node_of = node_of }
