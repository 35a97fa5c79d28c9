"""The pipelines: wiring and thin nodes. The methods they call know nothing of Kedro."""
