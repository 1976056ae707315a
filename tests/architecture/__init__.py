"""Rules about the code itself: who may import whom, how long things may be, what must not be there."""
