-- Everything that a batch needs to know, read before anything is written.

local function want_label(user, space, label)
  if label ~= '' and user.held[label] == nil then
    user.held[label] = false
    user.fields[#user.fields + 1] = label
    if space.known[label] == nil then
      space.known[label] = false
      space.labels[#space.labels + 1] = label
    end
  end
end

local function want(entry)
  local user, target = entry.user, entry.target
  if not target.has[user.number] then
    local n = #target.users + 1
    target.has[user.number], target.users[n], target.names[n] = true, user, user.name
  end
  want_label(user, target.space, entry.category)
  want_label(user, target.space, entry.source)
end

local function read_target(target)
  target.fault = target.space.fault
  for _, board in ipairs(target.boards) do
    if target.users[1] then
      read_board(board, target.users, target.names)
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

-- nil, or a refusal. Fills batch.seen, batch.pending and what its boards, users and spaces hold.
local function load_batch(batch, rules_key, seen_keys)
  local err
  batch.pending = {}
  batch.seen, err = read_seen(seen_keys, batch.ids)
  if not batch.seen then
    return err
  end
  for _, entry in ipairs(batch.entries) do
    want(entry)
  end
  for _, user in ipairs(batch.users) do
    read_balances(user)
  end
  for _, space in ipairs(batch.spaces) do
    read_space(space)
  end
  for _, target in ipairs(batch.targets) do
    read_target(target)
  end
  return read_rules(rules_key, batch.spaces)
end
