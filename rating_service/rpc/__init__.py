"""The services on the wire: messages in, messages out, refusals as statuses. No rule lives here."""
