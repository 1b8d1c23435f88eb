#!lua
-- include: _common.lua
-- include: factor/_subject.lua
-- Record whether the person was told, at a number of theirs, that the account's numbers have changed.
--
-- KEYS audit!
-- ARGV app sub token kind mask number notice refused_by
-- Where token: of the number's factor · notice: what it was about · refused_by: the code of the refusal, '' if a
--       message was queued
-- Reply 1
-- Holds no state changes but the record.
local detail = {kind = kind, notice = notice, told = refused_by == ''}
if refused_by ~= '' then detail.refused_by = refused_by end
append_audit(audit_key, {app = app, mask = mask, number_hash = number}, factor_event('factor.number_told', token, detail))
return 1
