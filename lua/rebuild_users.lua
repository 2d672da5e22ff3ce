-- Writes the numbers of users of one namespace as they are given, for a rebuild: on boards that have none of these users, or
-- in place of what stands there of them.
--
-- KEYS     meta, hidden users; the namespace, its hidden users; boards, each followed by its prefixes, distinct scores, sum
--          tree and grant times where the namespace has them; balances of users, each followed by their days where the
--          namespace has streaks
-- ARGV     the progress that meta must tell, the progress afterwards; the version that the boards get; number of boards, users
--          and shapes; whether there are days (0|1), whether balances are written (0|1: a closed window alone), whether users
--          are replaced (0|1); the rules (include/arguments), then the board's index in them and its name, for each board. A
--          shape is what some users have alike: the number of their values; of boards, and for each its number and the indexes
--          of score, prefix and time among the values (0: none; score 0: a replaced user leaves the board); of fields, and for
--          each its name and index. A user: name, shape, values; where a velocity is limited how many grants are counted, and
--          for each its moment (µs) and amount; where there are days how many stretches, and for each its number and bits
-- Reply    {'ok'}; {'moved', progress} where meta tells another one, {'corrupt', key and cause} where what is to be replaced
--          cannot be read: nothing is written
-- Effects  boards and what stands beside them, totals, balances, days, labels and counts of the namespace, and the progress,
--          which is no progress until all is written: who finds it so begins anew. The scores of hidden users stand among their balances; of users who are being erased nothing is written
--
--- @include "include/arguments"
--- @include "include/board_totals"
--- @include "include/boards"
--- @include "include/fields"
--- @include "include/grant_times"
--- @include "include/namespaces"
--- @include "include/replies"
--- @include "include/sum_tree_changes"
--- @include "include/tie_break"
--- @include "include/velocity"
--- @include "include/visibility"

local KEYS, ARGV, tonumber = KEYS, ARGV, tonumber
local call, sub, FIELDS_A_CALL_MAX = redis.call, string.sub, replies.FIELDS_A_CALL_MAX
local meta_key, hidden_key = KEYS[1], KEYS[2]
local before, after, version = ARGV[1], ARGV[2], ARGV[3]
local board_count, user_count, shape_count = tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[6])
local has_days, has_balances, are_replaced = ARGV[7] == '1', ARGV[8] == '1', ARGV[9] == '1'
local FIXED_KEYS, FIXED_ARGS = 2, 9

local at = { keys = FIXED_KEYS, args = FIXED_ARGS }

local function take()
  at.args = at.args + 1
  return ARGV[at.args]
end

local function take_number()
  return tonumber(take())
end

-- A shape: boards with the indexes of their values; `fields`, the arguments of HSET, where values stand at every second index.
local function unpack_shape(boards_by_number, namespace)
  local shape = { values = take_number(), boards = {}, score = {}, prefix = {}, time = {}, fields = {}, indexes = {} }
  for i = 1, take_number() do
    shape.boards[i], shape.score[i] = boards_by_number[take_number()], take_number()
    shape.prefix[i], shape.time[i] = take_number(), take_number()
  end
  for i = 1, take_number() do
    local name = take()
    shape.fields[2 * i - 1], shape.indexes[i] = name, take_number()
    local kind = sub(name, 1, 2)
    if (kind == fields.CATEGORY or kind == fields.SOURCE) and namespace.has_label[name] == nil then
      namespace.has_label[name], namespace.labels[#namespace.labels + 1] = false, name
    end
  end
  return shape
end

local function unpack_users(shapes, namespace)
  local users = {}
  for i = 1, user_count do
    local user = { number = i, key = KEYS[at.keys + 1], name = take(), shape = shapes[take_number()], first = at.args }
    at.keys, at.args = at.keys + 1, at.args + user.shape.values
    if namespace.velocity_limits then
      user.grant_count, user.first_grant = take_number(), at.args + 1
      at.args = at.args + 2 * user.grant_count
    end
    if has_days then
      user.days_key, at.keys = KEYS[at.keys + 1], at.keys + 1
      user.day_args = { unpack(ARGV, at.args + 2, at.args + 1 + 2 * ARGV[at.args + 1]) }
      at.args = at.args + 1 + #user.day_args
    end
    users[i] = user
  end
  return users
end

-- Reads what boards have of users who are replaced, so that it goes. nil, or a refusal.
local function read_replaced(users, all_boards)
  for _, board in ipairs(all_boards) do
    board.old_users, board.old_names = {}, {}
  end
  for _, user in ipairs(users) do
    for _, board in ipairs(user.visibility == 'erasing' and {} or user.shape.boards) do
      local n = #board.old_users + 1
      board.old_users[n], board.old_names[n] = user, user.name
    end
  end
  for _, board in ipairs(all_boards) do
    if board.old_users[1] then
      boards.read(board, board.old_users, board.old_names)
      if board.times and not board.fault then
        grant_times.read(board, board.old_users, board.old_names)
      end
    end
    if board.fault then
      return { 'corrupt', board.fault }
    end
  end
  return nil
end

-- Boards of which every user has one score on both, and beside which nothing stands but totals: the first of them is worked
-- out, and the others get the same. So it is for users whose grants lie in one day, week and month.
local function find_twins(shapes, users, all_boards)
  local first = all_boards[1]
  if are_replaced or not first or first.prefix_key or first.times_key or first.scores_key or first.sum_tree then
    return
  end
  for _, user in ipairs(users) do
    if user.visibility then
      return
    end
  end
  local places, leaders = {}, {}
  for number, shape in ipairs(shapes) do
    for i, board in ipairs(shape.boards) do
      places[board] = (places[board] or '') .. number .. ':' .. shape.score[i] .. ' '
    end
  end
  for _, board in ipairs(all_boards) do
    local place = places[board] or ''
    board.leader, leaders[place] = leaders[place], leaders[place] or board
  end
  for _, shape in ipairs(shapes) do
    local leading, score = {}, {}
    for i, board in ipairs(shape.boards) do
      if not board.leader then
        leading[#leading + 1], score[#score + 1] = board, shape.score[i]
      end
    end
    shape.boards, shape.score = leading, score
  end
end

-- Writes what the board's leader got.
local function write_twin(board)
  local totals, leader_totals = board.totals, board.leader.totals
  boards.write_same(board, board.leader.args)
  if totals then
    totals.sum, totals.squares, totals.has_changed = leader_totals.sum, leader_totals.squares, leader_totals.has_changed
    -- Copies: who makes a text of them adds to them.
    totals.sum_limbs = leader_totals.sum_limbs and { unpack(leader_totals.sum_limbs) }
    totals.squares_limbs = leader_totals.squares_limbs and { unpack(leader_totals.squares_limbs) }
  end
end

-- Gives boards the new scores of a user, and what stands beside them.
local function place_user(user)
  local shape, number, first = user.shape, user.number, user.first
  local shape_boards, score_indexes, index, score = shape.boards, shape.score, nil, nil
  for i = 1, #shape_boards do
    local board, n = shape_boards[i], shape_boards[i].user_count + 1
    if score_indexes[i] ~= index then
      index = score_indexes[i]
      score = index > 0 and tonumber(ARGV[first + index]) or nil
    end
    board.user_count, board.users[n], board.scores[number] = n, user, score
    if board.prefix_key then
      board.new_prefixes[number] = score and ARGV[first + shape.prefix[i]] or tie_break.NO_MOMENT
    end
    if board.times_key then
      board.times[number], board.has_new_time[number] = score and ARGV[first + shape.time[i]] or nil, true
    end
  end
end

-- Deletes the balances and days of a user who is replaced; how many users that was.
local function delete_balances(user)
  if has_days then
    call('DEL', user.days_key)
  end
  return call('DEL', user.key)
end

local function write_balances(user, namespace)
  local shape, args, first = user.shape, user.shape.fields, user.first
  local indexes = shape.indexes
  local n = #indexes
  for i = 1, n do
    args[2 * i] = ARGV[first + indexes[i]]
  end
  for start = 1, 2 * n, FIELDS_A_CALL_MAX do
    call('HSET', user.key, unpack(args, start, math.min(start + FIELDS_A_CALL_MAX - 1, 2 * n)))
  end
  if user.grant_count and user.grant_count > 0 then
    velocity.replay(namespace.velocity_limits, user, ARGV, user.first_grant, user.grant_count)
  end
  if user.day_args and user.day_args[1] then
    call('HSET', user.days_key, unpack(user.day_args))
  end
end

-- Versions and totals of boards, labels and counts of the namespace.
local function write_namespace(namespace, all_boards, added_users)
  local pairs_of_versions = {}
  for i, board in ipairs(all_boards) do
    pairs_of_versions[2 * i - 1], pairs_of_versions[2 * i] = fields.BOARD_VERSION .. board.name, version
    if board.totals and board.totals.has_changed then
      namespaces.set(namespace, fields.BOARD_TOTALS .. board.name, board_totals.text(board.totals))
    end
    if board.sum_tree and next(board.sum_tree.low) then
      sum_tree_changes.write(board.sum_tree)
    end
  end
  local added_boards = namespaces.write_fields(namespace, pairs_of_versions)
  for _, label in ipairs(namespace.labels) do
    namespaces.add_label(namespace, label)
  end
  namespaces.set(namespace, fields.USER_COUNT, replies.integer(namespace.quota_fields[1], 0) + added_users)
  namespaces.set(namespace, fields.BOARD_COUNT, replies.integer(namespace.quota_fields[2], 0) + added_boards)
  namespaces.write_fields(namespace, namespace.changed_fields)
end

local progress = call('HGET', meta_key, fields.PROGRESS) or ''
if progress ~= before then
  return { 'moved', progress }
end
local namespace = arguments.unpack_namespaces(at, 1)[1]
local all_boards = arguments.unpack_boards(at, board_count, { namespace })
for _, board in ipairs(all_boards) do
  board.users, board.user_count = {}, 0
end
local shapes = {}
for i = 1, shape_count do
  shapes[i] = unpack_shape(all_boards, namespace)
end
local users = unpack_users(shapes, namespace)
namespaces.read(namespace)
board_totals.read(namespace)
for _, key in ipairs({ hidden_key, namespace.hidden_key }) do
  local refusal = call('HLEN', key) > 0 and users[1] and visibility.read(key, users)
  if refusal then
    return refusal
  end
end

if are_replaced then
  local refusal = namespace.fault and { 'corrupt', namespace.fault } or read_replaced(users, all_boards)
  if refusal then
    return refusal
  end
end

find_twins(shapes, users, all_boards)
-- The first write: where Redis is full it is refused, and nothing is written.
call('HSET', meta_key, fields.PROGRESS, 'half of ' .. after)
local added_users = 0
for _, user in ipairs(users) do
  if user.visibility ~= 'erasing' then
    place_user(user)
    if has_balances then
      added_users = added_users + 1 - (are_replaced and delete_balances(user) or 0)
      write_balances(user, namespace)
    end
  end
end
for _, board in ipairs(all_boards) do
  if board.leader then
    write_twin(board)
  else
    board.args = boards.write(board, board.users)
  end
end
write_namespace(namespace, all_boards, added_users)
call('HSET', meta_key, fields.PROGRESS, after)
return { 'ok' }
