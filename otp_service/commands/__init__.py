"""The carrier's operations at a shell: a surface beside `web`, one file for each group of commands.

`terminal` is what all commands, those of `cli` too, share: parsers, tables, the progress bar. `carrier` opens the
carrier from the environment and turns everything that it may refuse into one sentence.
"""
