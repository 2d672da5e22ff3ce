-- The changes of a bundle to a board's sum tree (include/sum_tree). They are gathered at the leaves, in `low` and, for keys
-- that doubles could not add up exactly, in `high`, which counts millions. They climb the tree when they are written.
--
--- @lazy
--- @include "include/bigint"
--- @include "include/fields"
--- @include "include/replies"
--- @include "include/sum_tree"

local call, LEAF, FAN, node_of = redis.call, sum_tree.LEAF, sum_tree.FAN, sum_tree.node_of

local MILLION = 1000000
local LOW_MAX = 3000000000000 -- a key in `low`: those that 512 users leave and reach add up within ±3.1·10^15
local MILLIONS_MAX = 4000000000 -- with `low` and a stored sum of fifteen digits they add up within ±8.1·10^15

local function new(key)
  return { key = key, low = {}, high = {} }
end

-- Adds a key to its leaf (times: 1) or takes it away (times: -1).
local function move_key(changes, key, times)
  local leaf = math.floor(key / LEAF)
  local low = key
  if key > LOW_MAX or key < -LOW_MAX then
    low = key % MILLION
    changes.high[leaf] = (changes.high[leaf] or 0) + times * (key - low) / MILLION
  end
  changes.low[leaf] = (changes.low[leaf] or 0) + times * low
end

-- Moves a user from one score to another; false or nil: from or to none.
local function move_score(changes, old, new_score, ascending)
  if old then
    move_key(changes, ascending and 0 - old or old, -1)
  end
  if new_score then
    move_key(changes, ascending and 0 - new_score or new_score, 1)
  end
end

-- The changes of the level above.
local function climb(level_changes)
  local parents = {}
  for index, change in pairs(level_changes) do
    local parent = math.floor(index / FAN)
    parents[parent] = (parents[parent] or 0) + change
  end
  return parents
end

-- The new sum of a node: a number while that is exact, else text. A node that held no sum breaks the tree, which then gives
-- no sums until it is rebuilt.
local function new_sum(changes, text, low, millions)
  if text and not sum_tree.is_sum(text) then
    changes.is_broken = true
    return 0
  end
  if not text or #text < 16 then
    local number = tonumber(text or 0)
    if not millions then
      return number + low
    elseif millions <= MILLIONS_MAX and millions >= -MILLIONS_MAX then
      return number + low + millions * MILLION
    end
  end
  local limbs = bigint.new()
  bigint.add_product(limbs, millions or 0, MILLION)
  return bigint.sum(text or '0', low, limbs)
end

-- Writes nodes whose changes stand beside them.
local function write_nodes(changes, nodes, lows, highs)
  local texts, sums, n, zeros = call('HMGET', changes.key, unpack(nodes)), {}, 0, {}
  for i = 1, #nodes do
    local sum = new_sum(changes, texts[i], lows[i], highs[i])
    if sum == 0 or sum == '0' then
      zeros[#zeros + 1] = nodes[i]
    else
      sums[n + 1], sums[n + 2], n = nodes[i], sum, n + 2
    end
  end
  if n > 0 then
    call('HSET', changes.key, unpack(sums))
  end
  if zeros[1] then
    call('HDEL', changes.key, unpack(zeros))
  end
end

-- Gathers the nodes of a level, and writes them whenever a call is full. pending: { nodes, lows, highs, n }.
local function write_level(changes, level, low, high, pending)
  for index, change in pairs(low) do
    local millions = high[index] or false
    if change ~= 0 or (millions and millions ~= 0) then
      local n = pending.n + 1
      pending.n, pending.nodes[n], pending.lows[n], pending.highs[n] = n, node_of(level, index), change, millions
      if n == replies.FIELDS_A_CALL_MAX then
        write_nodes(changes, pending.nodes, pending.lows, pending.highs)
        pending.n, pending.nodes, pending.lows, pending.highs = 0, {}, {}, {}
      end
    end
  end
end

-- Writes all levels together: each level has few nodes, and a pair of calls for each would cost more.
local function write(changes)
  local low, high, pending = changes.low, changes.high, { n = 0, nodes = {}, lows = {}, highs = {} }
  for level = 0, sum_tree.TOP do
    write_level(changes, level, low, high, pending)
    low, high = climb(low), climb(high)
  end
  if pending.n > 0 then
    write_nodes(changes, pending.nodes, pending.lows, pending.highs)
  end
  if changes.is_broken then
    call('HSET', changes.key, fields.BROKEN, 1)
  end
end

return { new = new, move_score = move_score, write = write }
