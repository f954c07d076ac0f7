-- ARGV: who, for how many milliseconds. The token of the lease, "0" when somebody else holds it. Each new
-- lease has a higher token than all before.
local holder = redis.call('GET', 'lease')
if holder == ARGV[1] then
    redis.call('PEXPIRE', 'lease', ARGV[2])
    return redis.call('GET', 'token')
end
if holder then
    return '0'
end
redis.call('SET', 'lease', ARGV[1], 'PX', ARGV[2])
return tostring(redis.call('INCR', 'token'))
