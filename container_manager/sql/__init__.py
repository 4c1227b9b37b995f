"""What the ORM lacks, for the three databases alike: expressions, conditions, indexes, and when to try again."""
