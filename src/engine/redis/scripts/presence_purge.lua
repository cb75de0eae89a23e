-- Begins the scripts that read members: forgets those whose time is over, some at a time.
-- A run forgets and reads a limited amount, whatever is there: Redis serves nobody else meanwhile.

local purges = 500

-- Members of a channel that is not read at once.
local LARGE = 1000
local members = LARGE

-- Whether none is left to forget.
local function is_purged(expire, data, now)
  local expired = redis.call('zrangebyscore', expire, '0', now, 'LIMIT', '0', math.max(purges, 1))
  if #expired == 0 then return true end
  redis.call('hdel', data, unpack(expired))
  redis.call('zrem', expire, unpack(expired))
  purges = purges - #expired
  return purges > 0
end
