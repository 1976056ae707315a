"""The pure rules of rating, one rule a test."""
