"""The report: one HTML file with the answer, its figures and a planner that computes on the posterior's draws."""
