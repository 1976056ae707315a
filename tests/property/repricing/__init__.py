"""Laws that hold both services against each other."""
