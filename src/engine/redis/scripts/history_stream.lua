-- Reads the position of a stream, and publications of it (engines.md 6.4). For each call
--   KEYS: stream, meta
--   ARGV: direction ("" = position only, "f" = forward, "r" = reverse), first offset to read ("" = from the end),
--         limit ("0" = none), meta ttl ("0" = none), new epoch
--   result: {top, epoch, {id, publication, id, publication, ...}, "1" if there are more, else "0"}, or an error of
--           its own
-- A run reads a limited amount, whatever was asked: Redis serves nobody else meanwhile. Calls that find
-- nothing left of it read nothing and are told that there is more.

local KEYS_PER, ARGV_PER = 2, 5
local room = 262144

-- What an entry costs besides its bytes.
local ENTRY = 256

local function call(k, a)
  local stream, meta = KEYS[k + 1], KEYS[k + 2]
  local direction, from, limit = ARGV[a + 1], ARGV[a + 2], tonumber(ARGV[a + 3])
  local known = redis.call('hmget', meta, 'e', 's')
  local epoch, top = known[1], known[2] or '0'
  if not epoch then
    epoch, top = ARGV[a + 5], '0'
    redis.call('hset', meta, 'e', epoch)
  end
  if ARGV[a + 4] ~= '0' then redis.call('expire', meta, ARGV[a + 4]) end
  local found = {}
  if direction == '' or (from ~= '' and tonumber(from) > tonumber(top)) then return {top, epoch, found, '0'} end
  local is_forward = direction == 'f'
  if room <= 0 then return {top, epoch, found, '1'} end
  local part = 4
  repeat
    if limit > 0 and part > limit then part = limit end
    local entries
    if is_forward then
      entries = redis.call('xrange', stream, from ~= '' and from or '-', '+', 'COUNT', part)
    else
      entries = redis.call('xrevrange', stream, from ~= '' and from or '+', '-', 'COUNT', part)
    end
    for _, entry in ipairs(entries) do
      found[#found + 1] = entry[1]
      found[#found + 1] = entry[2][2]
      room = room - ENTRY - #entry[2][2]
    end
    if #entries < part then return {top, epoch, found, '0'} end
    if limit > 0 then
      limit = limit - part
      if limit == 0 then return {top, epoch, found, '0'} end
    end
    local last = string.match(entries[#entries][1], '^%d+')
    if is_forward then
      from = last .. '-1'
    else
      from = string.format('%.0f', tonumber(last) - 1)
    end
    if part < 64 then part = part * 2 end
  until room <= 0
  return {top, epoch, found, '1'}
end
