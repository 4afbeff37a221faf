"""From run folders to scores with intervals."""
