"""What a run leaves in MLflow, written by Kedro hooks."""
