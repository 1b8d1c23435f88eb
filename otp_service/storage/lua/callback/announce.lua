#!lua
-- include: _common.lua
-- A process tells which apps it sends callbacks to, and learns of those that any process has told of lately.
--
-- KEYS callback_apps!
-- ARGV kept_ms apps...
-- Reply {app, app ...}
-- Holds an app that no process has told of for `kept_ms` is forgotten.
local now = clock()
for _, app in ipairs(apps) do redis.call('ZADD', callback_apps_key, int(now), app) end
redis.call('ZREMRANGEBYSCORE', callback_apps_key, '-inf', int(now - kept_ms))
redis.call('PEXPIRE', callback_apps_key, kept_ms)
return redis.call('ZRANGE', callback_apps_key, 0, -1)
