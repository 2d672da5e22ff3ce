-- The write pass. Only the first XADD may fail (Redis full or read-only), and then nothing has been written.
--
--- @include "include/balances"
--- @include "include/board_totals"
--- @include "include/boards"
--- @include "include/dedup"
--- @include "include/namespaces"
--- @include "include/quotas"
--- @include "include/replies"
--- @include "include/sum_tree_changes"
--- @include "include/velocity"

local call, pcall, format = redis.call, redis.pcall, string.format

local function append(log_key, entry)
  return pcall('XADD', log_key, entry.stream_id, 'd', entry.digest, 'e', entry.body, 'r', entry.result)
end

local function mark_seen(seen_keys, applied)
  local args, n = {}, 0
  for _, entry in ipairs(applied) do
    args[n + 1], args[n + 2], n = entry.id, entry.digest .. entry.stream_id, n + 2
    if entry.claim then
      args[n + 1], args[n + 2], n = entry.claim, entry.request_digest .. entry.stream_id, n + 2
    end
  end
  call('HSET', seen_keys[1], unpack(args))
  for _, entry in ipairs(applied) do
    if entry.freed then
      dedup.free(seen_keys, entry.freed)
    end
  end
end

-- Boards of one archived window have one version.
local function raise_archived(board)
  local raised = board.namespace.archived_versions
  if board.version > (raised[board.window] or 0) then
    raised[board.window] = board.version
    namespaces.set(board.namespace, 'x:' .. board.window, format('a %d', board.version))
  end
end

-- How many fields are new.
local function write_fields(namespace, fields)
  local added = 0
  for first = 1, #fields, replies.FIELDS_A_CALL_MAX do
    added = added + call('HSET', namespace.key, unpack(fields, first, math.min(first + replies.FIELDS_A_CALL_MAX - 1, #fields)))
  end
  return added
end

-- nil, or a refusal where nothing could be written.
local function write_state(batch, seq, log_key, meta_key, seen_keys)
  for i, entry in ipairs(batch.applied) do
    local added = append(log_key, entry)
    if i == 1 and type(added) == 'table' and added.err then
      return { 'unwritable', tostring(added.err) }
    end
  end
  mark_seen(seen_keys, batch.applied)
  for _, board_set in ipairs(batch.board_sets) do
    if board_set.changed_users[1] then
      for _, board in ipairs(board_set.boards) do
        if board.is_changed then
          boards.write(board, board_set.changed_users)
        end
      end
    end
  end
  for _, board in ipairs(batch.boards) do
    if board.version and board.closed == 'a' then
      raise_archived(board)
    elseif board.version then
      local fields = board.may_be_new and board.namespace.version_fields or board.namespace.changed_fields
      fields[#fields + 1], fields[#fields + 2] = 'v:' .. board.name, board.version
    end
    if board.totals and board.totals.changed then
      namespaces.set(board.namespace, 't:' .. board.name, board_totals.text(board.totals))
    end
    if board.sums and next(board.sums.low) then
      sum_tree_changes.write(board.sums)
    end
  end
  local scratch = {}
  for _, user in ipairs(batch.users) do
    if user.is_changed then
      balances.write(user, scratch)
      if user.velocity_limits then
        velocity.write(user)
      end
    end
  end
  for _, namespace in ipairs(batch.namespaces) do
    quotas.write_counts(namespace, write_fields(namespace, namespace.version_fields))
    write_fields(namespace, namespace.changed_fields)
  end
  call('HSET', meta_key, 'seq', seq, 'at', batch.at)
  return nil
end

return write_state
