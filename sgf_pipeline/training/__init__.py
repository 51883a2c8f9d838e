"""How the bundled model is made: corpus, base model, adapters, evaluation. No run that only generates imports this."""
