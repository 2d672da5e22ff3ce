-- The write pass. Only the first XADD may fail (Redis full or read-only), and then nothing has been written.

local function append(log_key, entry)
  return pcall('XADD', log_key, entry.stream_id, 'd', entry.content, 'e', entry.body, 'r', entry.result)
end

local function mark_seen(seen_keys, applied)
  local args, n = {}, 0
  for _, entry in ipairs(applied) do
    args[n + 1], args[n + 2], n = entry.id, entry.content .. entry.stream_id, n + 2
    if entry.claim then
      args[n + 1], args[n + 2], n = entry.claim, entry.asked .. entry.stream_id, n + 2
    end
  end
  call('HSET', seen_keys[1], unpack(args))
  for _, entry in ipairs(applied) do
    if entry.freed then
      free(seen_keys, entry.freed)
    end
  end
end

-- Boards of one archived window have one version.
local function raise_archived(board)
  local raised = board.space.raised
  if board.version > (raised[board.base] or 0) then
    raised[board.base] = board.version
    set(board.space, 'x:' .. board.base, format('a %d', board.version))
  end
end

-- How many fields are new.
local function write_fields(space, fields)
  local added = 0
  for first = 1, #fields, FIELDS_A_CALL do
    added = added + call('HSET', space.key, unpack(fields, first, math.min(first + FIELDS_A_CALL - 1, #fields)))
  end
  return added
end

-- nil, or a refusal where nothing could be written.
local function write_batch(batch, seq, log_key, meta_key, seen_keys)
  for i, entry in ipairs(batch.applied) do
    local added = append(log_key, entry)
    if i == 1 and type(added) == 'table' and added.err then
      return { 'unwritable', tostring(added.err) }
    end
  end
  mark_seen(seen_keys, batch.applied)
  for _, target in ipairs(batch.targets) do
    if target.changed[1] then
      for _, board in ipairs(target.boards) do
        if board.moved then
          write_board(board, target.changed)
        end
      end
    end
  end
  for _, board in ipairs(batch.boards) do
    if board.version and board.closed == 'a' then
      raise_archived(board)
    elseif board.version then
      local fields = board.grew and board.space.versions or board.space.changed
      fields[#fields + 1], fields[#fields + 2] = 'v:' .. board.window, board.version
    end
    if board.tally and board.tally.changed then
      set(board.space, 't:' .. board.window, tally_text(board.tally))
    end
    if board.sums and next(board.sums.low) then
      write_sums(board.sums)
    end
  end
  local scratch = {}
  for _, user in ipairs(batch.users) do
    if user.touched then
      write_balances(user, scratch)
      if user.paced then
        write_pace(user)
      end
    end
  end
  for _, space in ipairs(batch.spaces) do
    write_counts(space, write_fields(space, space.versions))
    write_fields(space, space.changed)
  end
  call('HSET', meta_key, 'seq', seq, 'at', batch.at)
  return nil
end
