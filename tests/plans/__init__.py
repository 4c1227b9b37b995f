"""What the queries cost at a deep backlog: the index that serves them, and the rows that they read."""
