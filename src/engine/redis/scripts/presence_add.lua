-- Adds or renews a member (engines.md 6.7). For each call
--   KEYS: expiry of members, members, expiry of users, members of users
--   ARGV: ttl, expiry, client, information, user, mapping of users ("1"), expiry of fields ("1")
--   result: "1", or an error of its own

local KEYS_PER, ARGV_PER = 4, 7

local function call(k, a)
  local expire, data, user_expire, user_clients = KEYS[k + 1], KEYS[k + 2], KEYS[k + 3], KEYS[k + 4]
  local ttl, expiry, client, user = ARGV[a + 1], ARGV[a + 2], ARGV[a + 3], ARGV[a + 5]
  local has_mapping, has_field_ttl = ARGV[a + 6] == '1', ARGV[a + 7] == '1'
  local is_new = has_mapping and redis.call('hexists', data, client) == 0
  redis.call('hset', data, client, ARGV[a + 4])
  redis.call('expire', data, ttl)
  if has_field_ttl then
    redis.call('hexpire', data, ttl, 'FIELDS', '1', client)
  else
    redis.call('zadd', expire, expiry, client)
    redis.call('expire', expire, ttl)
  end
  if has_mapping then
    if is_new then redis.call('hincrby', user_clients, user, 1) end
    redis.call('expire', user_clients, ttl)
    if has_field_ttl then
      redis.call('hexpire', user_clients, ttl, 'FIELDS', '1', user)
    else
      redis.call('zadd', user_expire, expiry, user)
      redis.call('expire', user_expire, ttl)
    end
  end
  return '1'
end
