"""The use-cases: every front door calls these and nothing else."""
