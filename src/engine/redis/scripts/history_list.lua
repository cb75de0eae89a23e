-- Reads the position of a list, and publications of it (engines.md 6.5). For each call
--   KEYS: list, meta
--   ARGV: direction ("" = position only, "f" = forward, "r" = reverse), first offset to read ("" = from the end),
--         limit ("0" = none), meta ttl ("0" = none), new epoch
--   result: {top, epoch, {entry, ...}, "1" if there are more, else "0"}, or an error of its own
-- The newest publication, which has the offset `top`, is at index 0; so offsets tell where to read. A run reads a
-- limited amount, whatever was asked: Redis serves nobody else meanwhile.

local KEYS_PER, ARGV_PER = 2, 5
local room = 262144

-- What an entry costs besides its bytes.
local ENTRY = 256

local function call(k, a)
  local list, meta = KEYS[k + 1], KEYS[k + 2]
  local direction, from, limit = ARGV[a + 1], ARGV[a + 2], tonumber(ARGV[a + 3])
  local known = redis.call('hmget', meta, 'e', 's')
  local epoch, top = known[1], known[2] or '0'
  if not epoch then
    epoch, top = ARGV[a + 5], '0'
    redis.call('hset', meta, 'e', epoch)
  end
  if ARGV[a + 4] ~= '0' then redis.call('expire', meta, ARGV[a + 4]) end
  local found = {}
  if direction == '' then return {top, epoch, found, '0'} end
  local is_forward = direction == 'f'
  -- What is wanted: from index `low` to before `high`. Behind the first `top` there may be what an epoch before this one
  -- has left.
  local low, high = 0, math.min(redis.call('llen', list), tonumber(top))
  if from ~= '' then
    local ahead = tonumber(top) - tonumber(from)
    if ahead < 0 then return {top, epoch, found, '0'} end
    if is_forward then
      high = math.min(high, ahead + 1)
    else
      low = ahead
    end
  end
  if limit > 0 then
    if is_forward then
      low = math.max(low, high - limit)
    else
      high = math.min(high, low + limit)
    end
  end
  if room <= 0 then return {top, epoch, found, '1'} end
  local part = 4
  while low < high do
    local entries
    if is_forward then
      local first = math.max(low, high - part)
      entries = redis.call('lrange', list, first, high - 1)
      for i = #entries, 1, -1 do found[#found + 1] = entries[i] end
      high = first
    else
      local ending = math.min(high, low + part)
      entries = redis.call('lrange', list, low, ending - 1)
      for i = 1, #entries do found[#found + 1] = entries[i] end
      low = ending
    end
    for i = 1, #entries do room = room - ENTRY - #entries[i] end
    if room <= 0 then break end
    if part < 64 then part = part * 2 end
  end
  return {top, epoch, found, low < high and '1' or '0'}
end
