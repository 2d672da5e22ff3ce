-- Reads where a score stands on a board, or would stand.
--
-- KEYS     board, space, meta, orders (unused), scores (where the ranking is dense)
-- ARGV     window, ranking, whether scores are kept (0|1), score as the board keeps it
-- Reply    {epoch, seq, version, total, better, equal, rank - 1}: how many users have a better score, how many this one;
--          the rank is the one of the first who has it; {'unopened'}, {'too_deep'} and {'archived', …} as of board.lua
-- Effects  none
--
--- @include "include/board_header"
--- @include "include/ranks"

local board_key, namespace_key, meta_key, scores_key = KEYS[1], KEYS[2], KEYS[3], KEYS[5]
local window, ranking, kept, score = ARGV[1], ARGV[2], ARGV[3] == '1', ARGV[4]

local stand, refusal = board_header.read(meta_key, namespace_key, window)
if refusal then
  return refusal
end
local total = redis.call('ZCARD', board_key)
local better = redis.call('ZCOUNT', board_key, '(' .. score, '+inf')
local equal = redis.call('ZCOUNT', board_key, score, score)
local counter = { board_key = board_key, scores_key = scores_key, ranking = ranking, kept = kept }
local before = ranks.rank0(counter, score, better + 1)
return counter.too_deep and { 'too_deep' } or { stand[1], stand[2], stand[3], total, better, equal, before }
