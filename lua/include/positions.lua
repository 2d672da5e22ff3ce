-- Positions of scores and members that may not be on a board.
--
--- @lazy

-- Compares byte by byte, as a sorted set orders its members; `>` would go by the locale.
local function is_above(a, b)
  for i = 1, math.min(#a, #b) do
    local x, y = string.byte(a, i), string.byte(b, i)
    if x ~= y then
      return x > y
    end
  end
  return #a > #b
end

-- How many rows of a board are above (score, member), which may or may not be on it. O(log² n).
local function count_above(board_key, score, member)
  local low = redis.call('ZCOUNT', board_key, '(' .. score, '+inf')
  local high = low + redis.call('ZCOUNT', board_key, score, score)
  while low < high do
    local middle = math.floor((low + high) / 2)
    if is_above(redis.call('ZREVRANGE', board_key, middle, middle)[1], member) then
      low = middle + 1
    else
      high = middle
    end
  end
  return low
end

return { count_above = count_above }
