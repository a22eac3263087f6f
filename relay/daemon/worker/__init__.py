"""A worker's side: the stages joined, and what they ask of one another."""
