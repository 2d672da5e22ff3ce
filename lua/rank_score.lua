-- Reads the rank that a score has on a board, or would have.
--
-- KEYS     board, namespace, meta, prefixes (not used), distinct scores (where the ranking is dense)
-- ARGV     board, ranking, whether distinct scores are kept (0|1), score as the board keeps it
-- Reply    {epoch, seq, version, size, better, equal, rank from 0}: how many users have a better score, how many have this
--          one; the rank of the first of them. {'unopened'}, {'too_deep'}, {'archived', …}: see read_board.lua
-- Effects  none
--
--- @include "include/board_header"
--- @include "include/ranks"

local board_key, namespace_key, meta_key, scores_key = KEYS[1], KEYS[2], KEYS[3], KEYS[5]
local board, ranking, has_scores, score = ARGV[1], ARGV[2], ARGV[3] == '1', ARGV[4]

local header, refusal = board_header.read(meta_key, namespace_key, board)
if refusal then
  return refusal
end
local size = redis.call('ZCARD', board_key)
local better = redis.call('ZCOUNT', board_key, '(' .. score, '+inf')
local equal = redis.call('ZCOUNT', board_key, score, score)
local counter = { board_key = board_key, scores_key = scores_key, ranking = ranking, has_scores = has_scores }
local rank0 = ranks.rank0(counter, score, better + 1)
return counter.is_too_deep and { 'too_deep' } or { header[1], header[2], header[3], size, better, equal, rank0 }
