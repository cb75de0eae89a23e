-- Begins the scripts that read members: forgets those whose time is over, some at a time.
-- A run forgets and reads a limited amount, whatever is there: Redis serves nobody else meanwhile.
-- A replica may forget nothing: where there is something to forget, the master is to be asked.

-- How members end, an argument of each call.
local FIELDS_EXPIRE, IS_REPLICA = '1', '2'

-- What is to be done after a call.
local DONE, REPEAT, ASK_MASTER = '0', '1', '2'

local purges = 500

-- Members of a channel that is not read at once.
local LARGE = 1000
local members = LARGE

-- What is to be done before the members can be read.
local function purge(expire, data, now, mode)
  if mode == FIELDS_EXPIRE then return DONE end
  local expired = redis.call('zrangebyscore', expire, '0', now, 'LIMIT', '0', math.max(purges, 1))
  if #expired == 0 then return DONE end
  if mode == IS_REPLICA then return ASK_MASTER end
  redis.call('hdel', data, unpack(expired))
  redis.call('zrem', expire, unpack(expired))
  purges = purges - #expired
  return purges > 0 and DONE or REPEAT
end
