"""What the workers need of the outside, each with its promise. Adapters keep them; the contract tests check that."""
