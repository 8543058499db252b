"""What a detector costs: parameters, multiply-adds, latency, memory, and where the time goes."""
