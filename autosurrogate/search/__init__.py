"""The search for the best network: an Optuna study and where its trials run."""
