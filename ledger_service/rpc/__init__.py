"""The wire: messages in, messages out. No rule lives here."""
