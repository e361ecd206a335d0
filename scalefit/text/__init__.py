"""Every sentence that a user reads about results, and nothing else."""
