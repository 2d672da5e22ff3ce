-- Ranks on a board. What counts them is a table, made once a call: { board_key, scores_key, ranking, kept }; kept says that
-- each score stands in scores_key once. counter.too_deep: more would have to be counted than a call may.

local STEPS_MAX = 1000 -- different scores that a dense rank counts one by one: some ms, in which everybody else waits

-- How many different scores are better: kept, or counted step by step, on from the score that was asked before. So the
-- scores asked in one call never rise.
local function distinct_better(counter, score)
  if counter.kept then
    return redis.call('ZCOUNT', counter.scores_key, '(' .. score, '+inf')
  end
  if not counter.steps then
    counter.steps, counter.held = 0, redis.call('ZREVRANGE', counter.board_key, 0, 0, 'WITHSCORES')[2]
  end
  while counter.held and tonumber(counter.held) > tonumber(score) do
    counter.steps = counter.steps + 1
    if counter.steps > STEPS_MAX then
      counter.too_deep = true
      return 0
    end
    local below = '(' .. counter.held
    counter.held = redis.call('ZREVRANGEBYSCORE', counter.board_key, below, '-inf', 'WITHSCORES', 'LIMIT', 0, 1)[2]
  end
  return counter.steps
end

-- One less than the rank of a score, or of the entry at a position (from 1) that has it. O(log n).
local function rank0(counter, score, position)
  if counter.ranking == 'ordinal' then
    return position - 1
  elseif counter.ranking == 'dense' then
    return distinct_better(counter, score)
  end
  return redis.call('ZCOUNT', counter.board_key, '(' .. score, '+inf')
end

return { rank0 = rank0 }
