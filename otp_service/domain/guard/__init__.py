"""The guard against SMS pumping: which starts may be sent, by what became of earlier ones.

Pumping is a script that asks for codes to numbers whose owner earns by each message. Nobody enters those codes. So the
guard counts sends that are not approved: each fills leaky budgets of its blocks of numbers, of the end user's address,
of its country and of all countries; an approval gives back what its number took, and a little more. A number that was
approved lately is known, and is never counted or refused.

`rules.judge` says what happens to a start and changes nothing. `updates` changes the counters. `counters` says what is
kept where, `policy` has all limits. Nothing here has a clock, a store or chance.
"""
