-- Ranks on a board. A counter is made once a call: { board_key, scores_key, ranking, has_scores }. has_scores: the distinct
-- scores of the board are kept. counter.is_too_deep: a dense rank would have to count more scores than a call may.

local STEPS_MAX = 1000 -- scores that dense ranks count one by one: some ms, while all others wait

-- How many distinct scores are better. Where they are not kept, they are counted one by one, on from the score of the
-- last count. So the scores of one call must never rise.
local function count_distinct(counter, score)
  if counter.has_scores then
    return redis.call('ZCOUNT', counter.scores_key, '(' .. score, '+inf')
  end
  if not counter.steps then
    counter.steps, counter.at = 0, redis.call('ZREVRANGE', counter.board_key, 0, 0, 'WITHSCORES')[2]
  end
  while counter.at and tonumber(counter.at) > tonumber(score) do
    counter.steps = counter.steps + 1
    if counter.steps > STEPS_MAX then
      counter.is_too_deep = true
      return 0
    end
    local below = '(' .. counter.at
    counter.at = redis.call('ZREVRANGEBYSCORE', counter.board_key, below, '-inf', 'WITHSCORES', 'LIMIT', 0, 1)[2]
  end
  return counter.steps
end

-- The rank of a score, counted from 0. position: that of an row which has the score, from 1. O(log n).
local function rank0(counter, score, position)
  if counter.ranking == 'ordinal' then
    return position - 1
  elseif counter.ranking == 'dense' then
    return count_distinct(counter, score)
  end
  return redis.call('ZCOUNT', counter.board_key, '(' .. score, '+inf')
end

return { rank0 = rank0 }
