"""From a debit back to what is behind it, and everything checked again."""
