"""What `lamobench bench` measures: one module a group of measurements, and the harness that they share."""
