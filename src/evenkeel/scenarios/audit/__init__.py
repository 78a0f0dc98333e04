"""Rules that dataset rows must hold: one rule or one family of rules a file, all thresholds in `limits`."""
