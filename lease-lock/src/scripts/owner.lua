-- Who holds a lock. KEYS: lock. Answers {its value, or nothing when it is free; its ttl in ms, -1: it has none}.
local value = redis.pcall('GET', KEYS[1])
if type(value) == 'table' then value = 'not a lease' end
return {value, redis.call('PTTL', KEYS[1])}
