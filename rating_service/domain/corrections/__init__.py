"""What is put right later: credit notes, and cycles priced again under a phase for the past."""
