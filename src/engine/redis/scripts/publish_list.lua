-- Publishes with history in a list (engines.md 6.2). For each call
--   KEYS: list, meta, result
--   ARGV: publication, size - 1, ttl, channel ("" = do not publish), meta ttl ("0" = none), new epoch,
--         publish command, result ttl ("" = no idempotency), delta ("1")
--   result: {offset, epoch, cached}, or an error of its own

local KEYS_PER, ARGV_PER = 3, 9

local function call(k, a)
  local list, meta, result = KEYS[k + 1], KEYS[k + 2], KEYS[k + 3]
  local payload, channel, result_ttl = ARGV[a + 1], ARGV[a + 4], ARGV[a + 8]
  if result_ttl ~= '' then
    local known = redis.call('hmget', result, 'e', 's')
    if known[1] then return {known[2], known[1], '1'} end
  end
  local epoch = redis.call('hget', meta, 'e')
  if not epoch then
    epoch = ARGV[a + 6]
    redis.call('hset', meta, 'e', epoch)
  end
  local offset = redis.call('hincrby', meta, 's', 1)
  if ARGV[a + 5] ~= '0' then redis.call('expire', meta, ARGV[a + 5]) end
  local previous = ''
  if ARGV[a + 9] == '1' and offset ~= 1 then
    -- Without the envelope of the list, which is not part of the publication.
    local newest = redis.call('lindex', list, 0)
    if newest then
      local _, ending = string.find(newest, '__', 6, true)
      if ending then previous = string.sub(newest, ending + 1) end
    end
  end
  offset = string.format('%.0f', offset)
  local entry = '__p1:' .. offset .. ':' .. epoch .. '__' .. payload
  redis.call('lpush', list, entry)
  redis.call('ltrim', list, 0, ARGV[a + 2])
  redis.call('expire', list, ARGV[a + 3])
  if channel ~= '' then
    local message = entry
    if ARGV[a + 9] == '1' then
      message = '__d1:' .. offset .. ':' .. epoch .. ':' .. #previous .. ':' .. previous .. ':' .. #payload .. ':' .. payload
    end
    redis.call(ARGV[a + 7], channel, message)
  end
  if result_ttl ~= '' then
    redis.call('hset', result, 'e', epoch, 's', offset)
    redis.call('expire', result, result_ttl)
  end
  return {offset, epoch, '0'}
end
