"""What runs, builds and ships the project; nothing in it is imported by a service."""
