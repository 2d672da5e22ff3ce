-- Everything that a batch needs to know, read before anything is written.

-- The space learns of the labels that a shape brings.
local function want_labels(space, shape)
  space.shapes[shape] = true
  for _, label in ipairs(shape.labels) do
    if space.known[label] == nil and sub(label, 1, 2) ~= 'd:' then
      space.known[label] = false
      space.labels[#space.labels + 1] = label
    end
  end
end

local function want(entry)
  local user, target, shape = entry.user, entry.target, entry.shape
  if not target.has[user.number] then
    local n = #target.users + 1
    target.has[user.number], target.users[n], target.names[n] = true, user, user.name
    user.space = target.space
  end
  if target.space.latest then
    shape.timed = shape.timed or timed_shape(shape)
  end
  want_shape(user, target.space.latest and shape.timed or shape)
  if not target.space.shapes[shape] then
    want_labels(target.space, shape)
  end
end

-- The users of one namespace; a user of another is another one, for the balances are.
local function read_paces(target)
  local limits = target.space.limits
  for _, user in ipairs(limits and target.users or {}) do
    if not user.pace then
      read_pace(user, limits)
    end
  end
end

local function read_target(target)
  target.fault = target.space.fault
  for _, user in ipairs(target.users) do
    target.veiled = target.veiled or user.veil
  end
  for _, board in ipairs(target.boards) do
    if target.users[1] then
      read_board(board, target.users, target.names)
      if board.times and not board.fault then
        read_times(board, target.users, target.names)
      end
      if target.veiled and not board.fault then
        read_hidden(board, target.users)
      end
    end
    target.fault = target.fault or board.fault
  end
end

-- nil, or a refusal. Fills space.current, the version of the rules in force.
local function read_rules(rules_key, spaces)
  local ids = {}
  for i, space in ipairs(spaces) do
    ids[i] = space.id
  end
  local versions, err = try('HMGET', rules_key, unpack(ids))
  if not versions then
    return { 'corrupt', rules_key .. ': ' .. err }
  end
  for i, space in ipairs(spaces) do
    space.current = versions[i]
  end
  return nil
end

-- nil, or a refusal; batch.quotas is there already. hidden_key: false while nobody is hidden. Fills batch.seen, batch.pending and what its boards, users and spaces hold.
local function load_batch(batch, rules_key, hidden_key, seen_keys)
  local err
  batch.pending = {}
  batch.seen, err = read_seen(seen_keys, batch.ids)
  if hidden_key then
    err = err or read_veils(hidden_key, batch.users)
  end
  if err then
    return err
  end
  for _, entry in ipairs(batch.entries) do
    want(entry)
  end
  for _, user in ipairs(batch.users) do
    read_balances(user)
  end
  want_windows(batch.boards)
  for _, space in ipairs(batch.spaces) do
    read_space(space)
    read_counts(space, batch.quotas)
    read_tallies(space)
  end
  read_standing(batch)
  local refusal = read_own_veils(batch)
  if refusal then
    return refusal
  end
  mark_closed(batch)
  for _, target in ipairs(batch.targets) do
    read_paces(target)
    read_target(target)
  end
  return read_rules(rules_key, batch.spaces)
end
