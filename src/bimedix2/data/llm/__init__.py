"""Steps that ask a language model: a client, a ledger that pays for nothing twice, and prompts in both languages."""
