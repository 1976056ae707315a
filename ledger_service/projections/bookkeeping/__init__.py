"""The journal as a projection: what each event posts to lots, pools and accounts. Read journal first."""
