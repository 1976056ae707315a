"""Laws of rating that hold for any usage, card, cycle and amount."""
