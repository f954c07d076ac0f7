-- The shop's work: each order stamps the time (ms) and rewrites a kilobyte of stock.
local t = redis.call('TIME')
redis.call('SET', 'stamp', string.format('%d', t[1] * 1000 + math.floor(t[2] / 1000)))
return redis.call('SET', 'stock', string.rep('x', 1000))
