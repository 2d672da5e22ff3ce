-- Reads everything that a bundle needs to know, before anything is written.
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

-- Adds the labels of a label set to those that the namespace looks up; days have no place there.
local function add_labels(namespace, label_set)
  namespace.label_sets[label_set] = true
  for _, label in ipairs(label_set.labels) do
    if namespace.has_label[label] == nil and sub(label, 1, 2) ~= 'd:' then
      namespace.has_label[label] = false
      namespace.labels[#namespace.labels + 1] = label
    end
  end
end

-- Adds what an entry needs to its user, its board set and its namespace.
local function add_needs(entry)
  local user, board_set, label_set = entry.user, entry.board_set, entry.label_set
  local namespace = board_set.namespace
  if not board_set.has_user[user.number] then
    local n = #board_set.users + 1
    board_set.has_user[user.number], board_set.users[n], board_set.names[n] = true, user, user.name
    user.namespace = namespace
  end
  if namespace.keeps_times then
    label_set.timed = label_set.timed or grant_times.with_times(label_set)
  end
  balances.add_labels(user, namespace.keeps_times and label_set.timed or label_set)
  if not namespace.label_sets[label_set] then
    add_labels(namespace, label_set)
  end
end

-- Reads the velocities of a board set's users. A user here belongs to one namespace.
local function read_velocities(board_set)
  local limits = board_set.namespace.velocity_limits
  if not limits then
    return
  end
  for _, user in ipairs(board_set.users) do
    if not user.velocity then
      velocity.read(user, limits)
    end
  end
end

local function read_boards(board_set)
  local users, names = board_set.users, board_set.names
  board_set.fault = board_set.namespace.fault
  local has_state = false
  for _, user in ipairs(users) do
    has_state = has_state or user.visibility
  end
  for _, board in ipairs(board_set.boards) do
    if users[1] then
      boards.read(board, users, names)
      if board.times and not board.fault then
        grant_times.read(board, users, names)
      end
      if has_state and not board.fault then
        boards.read_hidden(board, users)
      end
    end
    board_set.fault = board_set.fault or board.fault
  end
end

-- Fills namespace.current_version, the version of the rules in force. nil, or a refusal.
local function read_rules(rules_key, bundle)
  local ids = {}
  for i, namespace in ipairs(bundle.namespaces) do
    ids[i] = namespace.id
  end
  local versions, err = replies.try('HMGET', rules_key, unpack(ids))
  if not versions then
    return { 'corrupt', rules_key .. ': ' .. err }
  end
  for i, namespace in ipairs(bundle.namespaces) do
    namespace.current_version = versions[i]
  end
  return nil
end

-- Fills bundle.seen and the values of its users, boards and namespaces; bundle.quotas must be there. hidden_key: false where
-- nobody is hidden in the deployment. nil, or a refusal.
local function read_state(bundle, rules_key, hidden_key, dedup_keys)
  local refusal
  bundle.seen, refusal = dedup.read(dedup_keys, bundle.ids)
  refusal = refusal or (hidden_key and visibility.read(hidden_key, bundle.users))
  if refusal then
    return refusal
  end
  for _, entry in ipairs(bundle.entries) do
    add_needs(entry)
  end
  for _, user in ipairs(bundle.users) do
    balances.read(user)
  end
  closed_windows.add_windows(bundle.boards)
  for _, namespace in ipairs(bundle.namespaces) do
    namespaces.read(namespace)
    quotas.read_counts(namespace, bundle.quotas)
    board_totals.read(namespace)
  end
  quotas.read_existing_boards(bundle)
  refusal = visibility.read_in_namespaces(bundle)
  if refusal then
    return refusal
  end
  closed_windows.mark_boards(bundle)
  for _, board_set in ipairs(bundle.board_sets) do
    read_velocities(board_set)
    read_boards(board_set)
  end
  return read_rules(rules_key, bundle)
end

return read_state
