"""Can these draws, and this model, be trusted: numbers, verdicts and a sentence for each check."""
