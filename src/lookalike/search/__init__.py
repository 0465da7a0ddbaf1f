"""Search: request, plan, candidates, ranking, results."""
