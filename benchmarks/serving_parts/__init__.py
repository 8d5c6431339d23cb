"""What benchmarks/serving.py measures, a part each."""
