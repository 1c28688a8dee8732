"""What is exported, a form a module: rows, and runs of MLflow."""
