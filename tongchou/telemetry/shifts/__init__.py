"""What changed in many series at once: quantities derived from raw samples, and a detector of shifts in them."""
