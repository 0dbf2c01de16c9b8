"""Mail going both ways on private parts, started, accounted for and cleared away."""
