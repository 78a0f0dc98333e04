"""How a reply is judged: verdicts per criterion, typed outcomes, and the arm's own aggregation to a reward."""
