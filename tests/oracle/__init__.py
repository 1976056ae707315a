"""Independent oracles: what cases must come to, from the conventions of the case files alone.

Nothing here imports either service, nor the players of `tests.acceptance`: an oracle that shared their code would share
their mistakes. Generators write cases in the very format of the files, so that the same runner plays both.
"""
