-- Writes what a bundle has changed. Only the first XADD may fail (Redis is full or read-only); then nothing has been written.
--
--- @include "include/balances"
--- @include "include/board_totals"
--- @include "include/boards"
--- @include "include/dedup"
--- @include "include/fields"
--- @include "include/memory"
--- @include "include/namespaces"
--- @include "include/quotas"
--- @include "include/sum_tree_changes"
--- @include "include/velocity"

local call, pcall, format = redis.call, redis.pcall, string.format

-- nil, or a refusal.
local function write_log(log_key, entries)
  for i, entry in ipairs(entries) do
    local reply = pcall('XADD', log_key, entry.place, 'd', entry.digest, 'e', entry.body, 'r', entry.result)
    if i == 1 and type(reply) == 'table' and reply.err then
      return memory.refusal(tostring(reply.err))
    end
  end
  return nil
end

local function write_dedup(dedup_keys, entries)
  local args, n = {}, 0
  for _, entry in ipairs(entries) do
    args[n + 1], args[n + 2], n = entry.id, entry.digest .. entry.place, n + 2
    if entry.claim then
      args[n + 1], args[n + 2], n = entry.claim, entry.request_digest .. entry.place, n + 2
    end
  end
  call('HSET', dedup_keys[1], unpack(args))
  for _, entry in ipairs(entries) do
    if entry.freed then
      dedup.free(dedup_keys, entry.freed)
    end
  end
end

local function write_boards(board_sets)
  for _, board_set in ipairs(board_sets) do
    if board_set.changed_users[1] then
      for _, board in ipairs(board_set.boards) do
        if board.is_changed then
          boards.write(board, board_set.changed_users)
        end
      end
    end
  end
end

-- The boards of an archived window have one version: the highest.
local function set_archived_version(board)
  local versions = board.namespace.archived_versions
  if board.version > (versions[board.window] or 0) then
    versions[board.window] = board.version
    namespaces.set(board.namespace, fields.WINDOW_STATE .. board.window, format('a %d', board.version))
  end
end

local function write_versions_and_sums(all_boards)
  for _, board in ipairs(all_boards) do
    local namespace = board.namespace
    if board.version and board.window_state == 'a' then
      set_archived_version(board)
    elseif board.version then
      local changed = board.may_be_new and namespace.version_fields or namespace.changed_fields
      changed[#changed + 1], changed[#changed + 2] = fields.BOARD_VERSION .. board.name, board.version
    end
    if board.totals and board.totals.has_changed then
      namespaces.set(namespace, fields.BOARD_TOTALS .. board.name, board_totals.text(board.totals))
    end
    if board.sum_tree and next(board.sum_tree.low) then
      sum_tree_changes.write(board.sum_tree)
    end
  end
end

local function write_users(users)
  local args = {}
  for _, user in ipairs(users) do
    if user.is_changed then
      balances.write(user, args)
      if user.velocity_limits then
        velocity.write(user)
      end
    end
  end
end

-- nil, or a refusal where nothing could be written. seq: that of the last entry.
local function write_state(bundle, seq, log_key, meta_key, dedup_keys)
  local refusal = write_log(log_key, bundle.applied)
  if refusal then
    return refusal
  end
  write_dedup(dedup_keys, bundle.applied)
  write_boards(bundle.board_sets)
  write_versions_and_sums(bundle.boards)
  write_users(bundle.users)
  for _, namespace in ipairs(bundle.namespaces) do
    quotas.write_counts(namespace, namespaces.write_fields(namespace, namespace.version_fields))
    namespaces.write_fields(namespace, namespace.changed_fields)
  end
  call('HSET', meta_key, fields.SEQ, seq, fields.CLOCK, bundle.now)
  return nil
end

return write_state
