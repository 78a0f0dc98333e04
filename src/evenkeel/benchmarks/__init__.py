"""How a model is measured: independent evaluations, one concept each, played in lock-step on any engine."""
