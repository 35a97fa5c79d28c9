"""What a score is: metrics, intervals, comparisons, and decisions made from them."""
