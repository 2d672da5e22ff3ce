-- Everything that a batch needs to know, read before anything is written.
--
--- @include "include/balances"
--- @include "include/board_totals"
--- @include "include/boards"
--- @include "include/closed_windows"
--- @include "include/dedup"
--- @include "include/grant_times"
--- @include "include/namespaces"
--- @include "include/quotas"
--- @include "include/replies"
--- @include "include/velocity"
--- @include "include/visibility"

local sub = string.sub

-- The space learns of the labels that a shape brings.
local function want_labels(namespace, label_set)
  namespace.label_sets[label_set] = true
  for _, label in ipairs(label_set.labels) do
    if namespace.known[label] == nil and sub(label, 1, 2) ~= 'd:' then
      namespace.known[label] = false
      namespace.labels[#namespace.labels + 1] = label
    end
  end
end

local function want(entry)
  local user, board_set, label_set = entry.user, entry.board_set, entry.label_set
  if not board_set.has_user[user.number] then
    local n = #board_set.users + 1
    board_set.has_user[user.number], board_set.users[n], board_set.names[n] = true, user, user.name
    user.namespace = board_set.namespace
  end
  if board_set.namespace.latest then
    label_set.timed = label_set.timed or grant_times.with_times(label_set)
  end
  balances.want(user, board_set.namespace.latest and label_set.timed or label_set)
  if not board_set.namespace.label_sets[label_set] then
    want_labels(board_set.namespace, label_set)
  end
end

-- The users of one namespace; a user of another is another one, for the balances are.
local function read_velocities(board_set)
  local limits = board_set.namespace.velocity_limits
  for _, user in ipairs(limits and board_set.users or {}) do
    if not user.velocity then
      velocity.read(user, limits)
    end
  end
end

local function read_target(board_set)
  board_set.fault = board_set.namespace.fault
  for _, user in ipairs(board_set.users) do
    board_set.has_hidden = board_set.has_hidden or user.visibility
  end
  for _, board in ipairs(board_set.boards) do
    if board_set.users[1] then
      boards.read(board, board_set.users, board_set.names)
      if board.times and not board.fault then
        grant_times.read(board, board_set.users, board_set.names)
      end
      if board_set.has_hidden and not board.fault then
        boards.read_hidden(board, board_set.users)
      end
    end
    board_set.fault = board_set.fault or board.fault
  end
end

-- nil, or a refusal. Fills space.current, the version of the rules in force.
local function read_rules(rules_key, namespaces)
  local ids = {}
  for i, namespace in ipairs(namespaces) do
    ids[i] = namespace.id
  end
  local versions, err = replies.try('HMGET', rules_key, unpack(ids))
  if not versions then
    return { 'corrupt', rules_key .. ': ' .. err }
  end
  for i, namespace in ipairs(namespaces) do
    namespace.current = versions[i]
  end
  return nil
end

-- nil, or a refusal; batch.quotas is there already. hidden_key: false while nobody is hidden. Fills batch.seen, batch.pending and what its boards, users and spaces hold.
local function read_state(batch, rules_key, hidden_key, seen_keys)
  local err
  batch.pending = {}
  batch.seen, err = dedup.read(seen_keys, batch.ids)
  if hidden_key then
    err = err or visibility.read(hidden_key, batch.users)
  end
  if err then
    return err
  end
  for _, entry in ipairs(batch.entries) do
    want(entry)
  end
  for _, user in ipairs(batch.users) do
    balances.read(user)
  end
  closed_windows.want(batch.boards)
  for _, namespace in ipairs(batch.namespaces) do
    namespaces.read(namespace)
    quotas.read_counts(namespace, batch.quotas)
    board_totals.read(namespace)
  end
  quotas.read_existing_boards(batch)
  local refusal = visibility.read_in_namespaces(batch)
  if refusal then
    return refusal
  end
  closed_windows.mark_boards(batch)
  for _, board_set in ipairs(batch.board_sets) do
    read_velocities(board_set)
    read_target(board_set)
  end
  return read_rules(rules_key, batch.namespaces)
end

return read_state
