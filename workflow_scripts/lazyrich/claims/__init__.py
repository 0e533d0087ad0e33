"""Published results as claims, judged with intervals over seeds."""
