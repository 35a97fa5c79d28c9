"""What a retrain decides by: rows kept and held out, contract, drift, judgement, history."""
