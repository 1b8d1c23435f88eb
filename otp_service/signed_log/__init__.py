"""The signed log over the ledger: its tiles and checkpoints in SQL, signing, witnesses, and evidence for others.

The formats and every judgement are in `transparency`; here is what needs the ledger's database.
"""
