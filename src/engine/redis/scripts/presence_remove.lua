-- Removes a member (engines.md 6.7). For each call
--   KEYS: expiry of members, members, expiry of users, members of users
--   ARGV: client, user, mapping of users ("1"), expiry of fields ("1")
--   result: "1", or an error of its own

local KEYS_PER, ARGV_PER = 4, 4

local function call(k, a)
  local expire, data, user_expire, user_clients = KEYS[k + 1], KEYS[k + 2], KEYS[k + 3], KEYS[k + 4]
  local client, user = ARGV[a + 1], ARGV[a + 2]
  local has_mapping, has_field_ttl = ARGV[a + 3] == '1', ARGV[a + 4] == '1'
  local existed = redis.call('hdel', data, client) == 1
  if not has_field_ttl then redis.call('zrem', expire, client) end
  if has_mapping and existed and redis.call('hincrby', user_clients, user, -1) <= 0 then
    if not has_field_ttl then redis.call('zrem', user_expire, user) end
    redis.call('hdel', user_clients, user)
  end
  return '1'
end
