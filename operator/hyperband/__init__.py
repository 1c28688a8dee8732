"""Hyperparameter tuning on Kubernetes: asynchronous Hyperband as an operator."""
