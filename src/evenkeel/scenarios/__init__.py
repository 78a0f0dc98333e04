"""What is trained: traits x domains, conversations that need judgement, each with its own rubric."""
