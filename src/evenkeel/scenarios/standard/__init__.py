"""The standard part of a mixture: checked and open-ended tasks from open sources, beside which the traits are trained."""
