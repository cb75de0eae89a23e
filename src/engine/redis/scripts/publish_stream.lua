-- Publishes with history in a stream (engines.md 6.1). For each call
--   KEYS: stream, meta, result
--   ARGV: publication, size, ttl, channel ("" = do not publish), meta ttl ("0" = none), new epoch, publish command,
--         result ttl ("" = no idempotency), delta ("1"), version ("0" = none), version epoch
--   result: {offset, epoch, cached, suppressed}, or an error of its own

-- Versions are of 64 bits and numbers in Lua of 53, so they are compared as what they are: decimal.
local function is_less(a, b)
  if #a ~= #b then return #a < #b end
  return a < b
end

local KEYS_PER, ARGV_PER = 3, 11

local function call(k, a)
  local stream, meta, result = KEYS[k + 1], KEYS[k + 2], KEYS[k + 3]
  local payload, channel, result_ttl = ARGV[a + 1], ARGV[a + 4], ARGV[a + 8]
  local version = ARGV[a + 10]
  if result_ttl ~= '' then
    local known = redis.call('hmget', result, 'e', 's')
    if known[1] then return {known[2], known[1], '1', '0'} end
  end
  local epoch
  if version == '0' then
    epoch = redis.call('hget', meta, 'e')
  else
    local known = redis.call('hmget', meta, 'e', 'v', 've', 's')
    epoch = known[1]
    local is_comparable = ARGV[a + 11] == '' or ARGV[a + 11] == known[3]
    if known[2] and is_comparable and not is_less(known[2], version) then
      if not epoch then
        epoch = ARGV[a + 6]
        redis.call('hset', meta, 'e', epoch)
      end
      return {known[4] or '0', epoch, '0', '1'}
    end
    redis.call('hset', meta, 'v', version, 've', ARGV[a + 11])
  end
  if not epoch then
    epoch = ARGV[a + 6]
    redis.call('hset', meta, 'e', epoch)
  end
  local offset = redis.call('hincrby', meta, 's', 1)
  if ARGV[a + 5] ~= '0' then redis.call('expire', meta, ARGV[a + 5]) end
  local previous = ''
  if offset == 1 then
    -- The meta key may have been evicted and the stream not.
    redis.call('unlink', stream)
  elseif ARGV[a + 9] == '1' then
    local newest = redis.call('xrevrange', stream, '+', '-', 'COUNT', 1)[1]
    if newest then previous = newest[2][2] end
  end
  offset = string.format('%.0f', offset)
  redis.call('xadd', stream, 'MAXLEN', ARGV[a + 2], offset, 'd', payload)
  redis.call('expire', stream, ARGV[a + 3])
  if channel ~= '' then
    local message
    if ARGV[a + 9] == '1' then
      message = '__d1:' .. offset .. ':' .. epoch .. ':' .. #previous .. ':' .. previous .. ':' .. #payload .. ':' .. payload
    else
      message = '__p1:' .. offset .. ':' .. epoch .. '__' .. payload
    end
    redis.call(ARGV[a + 7], channel, message)
  end
  if result_ttl ~= '' then
    redis.call('hset', result, 'e', epoch, 's', offset)
    redis.call('expire', result, result_ttl)
  end
  return {offset, epoch, '0', '0'}
end
