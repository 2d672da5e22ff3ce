-- How a batch moves a board's tree of sums (include/sum_tree). Its changes are gathered in the leaves, `low` and, for keys
-- beyond what doubles add up exactly, millions in `high`; they climb the tree when they are written.
--
--- @include "include/bigint"
--- @include "include/replies"
--- @include "include/sum_tree"

local call = redis.call

local MILLION = 1000000
local LOW_MAX = 3000000000000 -- the keys that 512 users leave and come to add up within ±3.1·10^15
local MILLIONS_MAX = 4000000000 -- with them, and fifteen digits that are held, within ±8.1·10^15

local function new(key)
  return { key = key, low = {}, high = {} }
end

-- A key joins its stretch (times 1) or leaves it (times −1).
local function move_key(sums, key, times)
  local leaf = math.floor(key / sum_tree.LEAF)
  local low = key
  if key > LOW_MAX or key < -LOW_MAX then
    low = key % MILLION
    sums.high[leaf] = (sums.high[leaf] or 0) + times * (key - low) / MILLION
  end
  sums.low[leaf] = (sums.low[leaf] or 0) + times * low
end

-- From one score, or none, to another.
local function move_score(sums, old, new, ascending)
  if old then
    move_key(sums, ascending and 0 - old or old, -1)
  end
  if new then
    move_key(sums, ascending and 0 - new or new, 1)
  end
end

local function climb(changes)
  local parents = {}
  for index, change in pairs(changes) do
    local parent = math.floor(index / sum_tree.FAN)
    parents[parent] = (parents[parent] or 0) + change
  end
  return parents
end

-- What a node comes to: a number while it is exact, text beyond. The tree of one that held no sum is broken: it tells
-- none until it is made anew.
local function raised(sums, held, low, millions)
  if held and not sum_tree.is_sum(held) then
    sums.broken = true
    return 0
  end
  if not held or #held < 16 then
    local number = tonumber(held or 0)
    if not millions then
      return number + low
    elseif millions <= MILLIONS_MAX and millions >= -MILLIONS_MAX then
      return number + low + millions * MILLION
    end
  end
  local limbs = bigint.new()
  bigint.add_product(limbs, millions or 0, MILLION)
  return bigint.sum(held or '0', low, limbs)
end

-- Writes some nodes, whose changes are given beside them.
local function write_nodes(sums, nodes, lows, highs)
  local held, kept, n, gone = call('HMGET', sums.key, unpack(nodes)), {}, 0, {}
  for i = 1, #nodes do
    local total = raised(sums, held[i], lows[i], highs[i])
    if total == 0 or total == '0' then
      gone[#gone + 1] = nodes[i]
    else
      kept[n + 1], kept[n + 2], n = nodes[i], total, n + 2
    end
  end
  if n > 0 then
    call('HSET', sums.key, unpack(kept))
  end
  if gone[1] then
    call('HDEL', sums.key, unpack(gone))
  end
end

-- Gathers the nodes of one level; what is gathered is written some at a time. pending: { nodes, lows, highs, n }.
local function write_level(sums, level, low, high, pending)
  for index, change in pairs(low) do
    local millions = high[index] or false
    if change ~= 0 or (millions and millions ~= 0) then
      local n = pending.n + 1
      pending.n, pending.nodes[n], pending.lows[n], pending.highs[n] = n, sum_tree.node_of(level, index), change, millions
      if n == replies.FIELDS_A_CALL_MAX then
        write_nodes(sums, pending.nodes, pending.lows, pending.highs)
        pending.n, pending.nodes, pending.lows, pending.highs = 0, {}, {}, {}
      end
    end
  end
end

-- All levels together: few nodes a level would be a pair of calls each.
local function write(sums)
  local low, high, pending = sums.low, sums.high, { n = 0, nodes = {}, lows = {}, highs = {} }
  for level = 0, sum_tree.TOP do
    write_level(sums, level, low, high, pending)
    low, high = climb(low), climb(high)
  end
  if pending.n > 0 then
    write_nodes(sums, pending.nodes, pending.lows, pending.highs)
  end
  if sums.broken then
    call('HSET', sums.key, 'broken', 1)
  end
end

return { new = new, move_score = move_score, write = write }
