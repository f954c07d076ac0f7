-- ARGV: the token under which the job was done, whether old ones are refused. The store remembers the newest
-- token it has seen: that is all that fencing needs.
local newest = tonumber(redis.call('GET', 'newest') or '0')
local token = tonumber(ARGV[1])
if token < newest then
    if ARGV[2] == 'on' then
        return 'REFUSED'
    end
    redis.call('INCR', 'stale')
else
    redis.call('SET', 'newest', token)
end
local now = redis.call('TIME')
redis.call('SET', 'last', now[1] * 1000 + math.floor(now[2] / 1000))
return 'DONE'
