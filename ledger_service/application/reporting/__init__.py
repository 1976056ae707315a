"""Reports of finance: what each is asked for, what its figures mean, and how they are counted."""
