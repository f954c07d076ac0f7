-- How old (ms) what this node serves is.
local t = redis.call('TIME')
return t[1] * 1000 + math.floor(t[2] / 1000) - tonumber(redis.call('GET', 'stamp'))
