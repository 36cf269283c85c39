-- The figures of redis-iot for redis_exporter (github.com/oliver006/redis_exporter):
--
--   redis_exporter -script contrib/redis_exporter.lua
--
-- Each name of IOT.STATS becomes redis_script_values{key="<name>"}. The exporter wants a flat list of
-- texts, name and value in turn; a server without the module gives an empty one.
local stats = redis.pcall('IOT.STATS')
if stats.err then
  return {}
end
for at, one in ipairs(stats) do
  if type(one) == 'number' then
    -- tostring would round what has more than 14 digits.
    stats[at] = string.format('%.0f', one)
  end
end
return stats
