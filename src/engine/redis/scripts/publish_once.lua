-- Publishes without history, once for an idempotency key (engines.md 6.3). For each call
--   KEYS: result
--   ARGV: publication, channel, publish command, result ttl
--   result: "1" if the key was seen before, else "0", or an error of its own

local KEYS_PER, ARGV_PER = 1, 4

local function call(k, a)
  local result = KEYS[k + 1]
  if redis.call('hget', result, 'e') then return '1' end
  -- Remembered first: what cannot be remembered, with memory full or as a replica, must not be delivered either, or its
  -- repetition would be delivered again.
  redis.call('hset', result, 'e', '')
  redis.call('expire', result, ARGV[a + 4])
  local sent = redis.pcall(ARGV[a + 3], ARGV[a + 2], ARGV[a + 1])
  if type(sent) == 'table' and sent.err then
    redis.call('unlink', result)
    error(sent)
  end
  return '0'
end
