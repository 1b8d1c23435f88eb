"""Apps whose starts and checks are limited by entries of `[[limits]]`, and by no budget of the guard."""

LIMITS = """
[apps.paired]
brand = "Paired"
route = ["pool"]
resend_after = ["0s"]

[apps.paired.guard]
mode = "off"

[[limits]]
name = "pairs"
key = ["number", "client_ip"]
rules = [{limit = 2, per = "24h"}]
apps = ["paired"]

[[limits]]
name = "paired_guesses"
key = ["number", "client_ip"]
event = "wrong_code"
rules = [{limit = 1, per = "24h"}]
apps = ["paired"]

[apps.limited]
brand = "Limited"
route = ["pool", "backup"]
resend_after = ["0s"]

[apps.limited.guard]
mode = "off"

[[limits]]
name = "devices"
key = "device"
rules = [{limit = 2, per = "1h"}, {limit = 3, per = "24h"}]
apps = ["limited"]

[[limits]]
name = "accounts"
key = "custom:account"
event = "send"
rules = [{limit = 2, per = "1h"}]
apps = ["limited", "other"]

[[limits]]
name = "crowds"
key = "custom:crowd"
rules = [{limit = 37, per = "1h"}, {limit = 500, per = "24h"}]
apps = ["limited"]

[apps.worded]
brand = "Worded"
route = ["pool"]

[apps.worded.guard]
mode = "off"

[[limits]]
name = "any_word"
key = "custom"
rules = [{limit = 3, per = "1h"}]
apps = ["worded"]

[[limits]]
name = "networks"
key = ["client_ip", "country"]
rules = [{limit = 2, per = "1h"}]
apps = ["limited"]

[apps.watched]
brand = "Watched"
route = ["pool"]
resend_after = ["0s"]

[apps.watched.guard]
mode = "off"

[[limits]]
name = "watched"
key = "number"
rules = [{limit = 1, per = "1h"}]
mode = "monitor"
apps = ["watched"]

[apps.blocks]
brand = "Blocks"
route = ["pool"]

[apps.blocks.guard]
mode = "off"

[[limits]]
name = "blocks"
key = ["prefix", "sender"]
rules = [{limit = 2, per = "1h"}]
apps = ["blocks"]

[apps.numbered]
brand = "Numbered"
route = ["pool"]
resend_after = ["0s"]

[apps.numbered.guard]
mode = "off"

[[limits]]
name = "numbers"
key = ["app", "number", "sender"]
rules = [{limit = 1, per = "1h"}, {limit = 9, per = "24h"}]
apps = ["numbered"]

[[limits]]
name = "persons"
key = "number"
rules = [{limit = 1, per = "1h"}]
apps = ["sharing", "sharing2"]

[apps.sharing]
brand = "Sharing"
route = ["pool"]

[apps.sharing.guard]
mode = "off"

[apps.sharing2]
brand = "Sharing"
route = ["pool"]

[apps.sharing2.guard]
mode = "off"

[apps.guessed]
brand = "Guessed"
route = ["pool"]

[apps.guessed.guard]
mode = "off"

[[limits]]
name = "guesses"
key = "client_ip"
event = "wrong_code"
rules = [{limit = 2, per = "1h"}]
apps = ["guessed"]

[apps.spending]
brand = "Spending"
route = ["pool", "backup"]
resend_after = ["0s"]
daily_spend_limit = 0.125

[apps.spending.guard]
mode = "off"

[prices]
segments = {US = 0.01, CA = 0.05}
"""
