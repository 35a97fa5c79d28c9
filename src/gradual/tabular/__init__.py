"""Tables: columns to codes and numbers, nets on them, and what stands beside the nets."""
